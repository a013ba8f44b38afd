"""Stores tensors with many zeros in fewer bytes: the non-zero values and their positions."""

from collections.abc import Mapping

import torch
from torch import Tensor

from kdrun.core.errors import DamagedFile

# Endings of the names under which the pieces of a tensor are stored.
_VALUES, _SHAPE, _MASK, _GAPS = ":values", ":shape", ":mask", ":gaps"
_GAP_TYPES = (torch.uint8, torch.int16, torch.int32, torch.int64)
_BITS = 2 ** torch.arange(8, dtype=torch.uint8)


def pack(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Store each tensor in the form that takes the fewest bytes.

    There are three forms:

    - dense, the tensor itself;
    - values and mask: the non-zero values, with one bit for each element of the tensor;
    - values and gaps: the non-zero values, with the distance of each from the one before it, in
      the smallest integer type that holds the largest distance.
    """
    packed: dict[str, Tensor] = {}
    for name, value in weights.items():
        smallest: dict[str, Tensor] = min(_forms(name, value), key=_size_in_bytes)
        packed |= smallest
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Restore the tensors that `pack` stored.

    Raises:
        DamagedFile: the pieces of a tensor don't fit together.
    """
    weights = {}
    for name, value in packed.items():
        if name.endswith(_VALUES):
            name = name.removesuffix(_VALUES)
            try:
                weights[name] = _to_dense(name, value, packed)
            except (KeyError, RuntimeError, IndexError) as error:
                raise DamagedFile(f"the sparse tensor {name!r} is damaged: {error}.") from error
        elif ":" not in name:
            weights[name] = value
    return weights


def _forms(name: str, value: Tensor) -> list[dict[str, Tensor]]:
    """Return a tensor in all forms that `pack` chooses from."""
    dense, flat = {name: value}, value.flatten()
    nonzero = flat.nonzero()[:, 0]
    if len(nonzero) == len(flat):
        return [dense]
    common = {name + _VALUES: flat[nonzero], name + _SHAPE: torch.tensor(value.shape)}
    gaps = nonzero.diff(prepend=nonzero.new_tensor([-1]))
    largest = int(gaps.max()) if len(gaps) else 0
    gap_type = next(dtype for dtype in _GAP_TYPES if largest <= torch.iinfo(dtype).max)
    return [
        dense,
        {**common, name + _MASK: _pack_bits(flat != 0)},
        {**common, name + _GAPS: gaps.to(gap_type)},
    ]


def _to_dense(name: str, values: Tensor, packed: Mapping[str, Tensor]) -> Tensor:
    shape = packed[name + _SHAPE].tolist()
    flat = values.new_zeros(shape).flatten()
    if name + _GAPS in packed:
        flat[packed[name + _GAPS].long().cumsum(0) - 1] = values
    else:
        flat[_unpack_bits(packed[name + _MASK], len(flat))] = values
    return flat.reshape(shape)


def _pack_bits(mask: Tensor) -> Tensor:
    """Convert booleans (N,) to bytes (ceil(N / 8),), the first one in the lowest bit."""
    padded = torch.nn.functional.pad(mask.to(torch.uint8), (0, -len(mask) % 8))
    return (padded.reshape(-1, 8) * _BITS).sum(dim=1, dtype=torch.uint8)


def _unpack_bits(packed: Tensor, count: int) -> Tensor:
    """Convert bytes of `_pack_bits` back to `count` booleans."""
    return (packed[:, None] & _BITS).bool().flatten()[:count]


def _size_in_bytes(pieces: dict[str, Tensor]) -> int:
    return sum(piece.nbytes for piece in pieces.values())
