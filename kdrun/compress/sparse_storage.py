"""Tensors with many zeros in fewer bytes: what is not 0, and where it is."""

from collections.abc import Mapping

import torch
from torch import Tensor

from kdrun.core.errors import DamagedFile

_VALUES, _SHAPE, _MASK, _GAPS = ":values", ":shape", ":mask", ":gaps"
_WIDTHS = (torch.uint8, torch.int16, torch.int32, torch.int64)
_BITS = 2 ** torch.arange(8, dtype=torch.uint8)


def pack(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, each in the form that takes the fewest bytes.

    Dense; or its values that are not 0 with one bit an element; or these with the distance of
    each from the one before, as numbers of the least width that holds the largest of them.
    """
    found: dict[str, Tensor] = {}
    for name, value in weights.items():
        smallest: dict[str, Tensor] = min(_forms(name, value), key=_bytes)
        found |= smallest
    return found


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `pack` was given.

    Raises:
        DamagedFile: the parts of a tensor don't belong together.
    """
    found = {}
    for name, value in packed.items():
        if name.endswith(_VALUES):
            name = name.removesuffix(_VALUES)
            try:
                found[name] = _dense(name, value, packed)
            except (KeyError, RuntimeError, IndexError) as error:
                raise DamagedFile(f"the sparse tensor {name!r} is damaged: {error}.") from error
        elif ":" not in name:
            found[name] = value
    return found


def _forms(name: str, value: Tensor) -> list[dict[str, Tensor]]:
    dense, flat = {name: value}, value.flatten()
    where = flat.nonzero()[:, 0]
    if len(where) == len(flat):
        return [dense]
    common = {name + _VALUES: flat[where], name + _SHAPE: torch.tensor(value.shape)}
    gaps = where.diff(prepend=where.new_tensor([-1]))
    largest = int(gaps.max()) if len(gaps) else 0
    width = next(width for width in _WIDTHS if largest <= torch.iinfo(width).max)
    return [
        dense,
        {**common, name + _MASK: _bits(flat != 0)},
        {**common, name + _GAPS: gaps.to(width)},
    ]


def _dense(name: str, values: Tensor, packed: Mapping[str, Tensor]) -> Tensor:
    shape = packed[name + _SHAPE].tolist()
    flat = values.new_zeros(shape).flatten()
    if name + _GAPS in packed:
        flat[packed[name + _GAPS].long().cumsum(0) - 1] = values
    else:
        flat[_booleans(packed[name + _MASK], len(flat))] = values
    return flat.reshape(shape)


def _bits(held: Tensor) -> Tensor:
    """Booleans (N,) as bytes (N / 8,), the first in the lowest bit."""
    padded = torch.nn.functional.pad(held.to(torch.uint8), (0, -len(held) % 8))
    return (padded.reshape(-1, 8) * _BITS).sum(dim=1, dtype=torch.uint8)


def _booleans(packed: Tensor, count: int) -> Tensor:
    return (packed[:, None] & _BITS).bool().flatten()[:count]


def _bytes(parts: dict[str, Tensor]) -> int:
    return sum(value.nbytes for value in parts.values())
