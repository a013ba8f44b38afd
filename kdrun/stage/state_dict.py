"""Loads a state dict into a network, or shows where they differ."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import torch
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.stage.checkpoint_file import printable

MAX_LISTED = 5  # the most keys that a message lists


def fill(
    network: nn.Module, weights: Mapping[str, Tensor], name: str, path: Path, place: str = ""
) -> None:
    """Load a state dict, which must have exactly the keys and shapes of the network.

    Norms may lack `num_batches_tracked`, which PyTorch's strict loading does not require.

    Args:
        network: its last layer has an output for each class of the dataset.
        weights: the state dict.
        name: the name of the network, for messages.
        path: the file of the weights, for messages.
        place: where in the file they are, for messages.

    Raises:
        UserError: keys, shapes or classes differ, a tensor is no plain one, or a value is NaN or
            infinite.
    """
    expected = network.state_dict()
    rows = differences(expected, weights)
    if rows:
        classes = _other_classes(expected, weights)
        summary = f"{len(rows)} keys differ" if classes is None else f"it knows {classes} classes"
        head = (f"in the file, under {place!r}:" if place else "in the file:", f"in {name!r}:")
        raise UserError(
            f"{str(path)!r} does not hold the weights of {name!r} for this dataset: {summary}.",
            *_side_by_side([head, *rows[:MAX_LISTED]]),
            *_more(len(rows)),
        )
    for key, value in weights.items():
        if kind := _unusual_kind(value, expected[key]):
            raise UserError(
                f"{str(path)!r} can't be used: {key!r} is {kind}, and weights are plain numbers."
            )
        if not torch.isfinite(value.to(expected[key].dtype)).all():
            raise UserError(
                f"{str(path)!r} can't be used: {key!r} holds NaN, infinite or too large values."
            )
    network.load_state_dict(dict(weights))


def _unusual_kind(value: Tensor, expected: Tensor) -> str:
    """Return what keeps a tensor from being the values of a parameter; empty if nothing does."""
    kinds = {
        "a meta tensor without values": value.is_meta,
        "a quantized tensor": value.is_quantized,
        "a sparse tensor": value.layout != torch.strided,
        "of complex numbers": value.is_complex(),
        "of whole numbers": expected.is_floating_point()
        and not (value.is_floating_point() or value.is_complex()),
        "of floats of 8 bits without a scale": value.is_floating_point() and value.itemsize < 2,
    }
    return next((kind for kind, is_so in kinds.items() if is_so), "")


def differences(
    expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]
) -> list[tuple[str, str]]:
    """Return pairs of descriptions: what the weights have, what the network has in its place."""
    shapes = [
        (_describe(key, weights[key]), _describe(key, expected[key]))
        for key in expected
        if key in weights and expected[key].shape != weights[key].shape
    ]
    unexpected = [_describe(key, weights[key]) for key in weights if key not in expected]
    missing = [
        _describe(key, expected[key])
        for key in expected
        if key not in weights and not key.endswith("num_batches_tracked")
    ]
    return [*shapes, *zip_longest(unexpected, missing, fillvalue="-")]


def _other_classes(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> int | None:
    """Return the number of classes of the weights if only that differs; otherwise None."""
    if any(key not in expected for key in weights):
        return None
    shared = {key for key in expected if key in weights}
    differing = [key for key in shared if expected[key].shape != weights[key].shape]
    if len(differing) != len(differences(expected, weights)):
        return None
    sizes = {weights[key].shape[:1] for key in differing}
    other_shapes = any(expected[key].shape[1:] != weights[key].shape[1:] for key in differing)
    return None if other_shapes or len(sizes) != 1 else next(iter(sizes))[0]


def _side_by_side(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(first) for first, _ in rows)
    return [f"  {first.ljust(width)}  {second}" for first, second in rows]


def _more(count: int) -> list[str]:
    return [f"  and {count - MAX_LISTED} more"] if count > MAX_LISTED else []


def _describe(key: str, value: Tensor) -> str:
    return f"{printable(key)} {tuple(value.shape)}"
