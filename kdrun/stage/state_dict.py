"""Reads checkpoint files of other projects, without running code that they may hold."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from kdrun.core.errors import UserError

# Keys under which checkpoint files hold their state dict.
_WRAPPERS = ("state_dict", "model", "net", "module", "model_state_dict")
_MAX_LISTED = 5  # the most keys that a message lists


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return the state dict in a file of torch.save or safetensors.

    Raises:
        UserError: the file can't be read, or holds no state dict.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"there is no file {str(path)!r}.") from error
    except Exception as error:  # torch raises errors of many classes for damaged bytes
        raise UserError(
            f"{str(path)!r} can't be read as a checkpoint: {_reason(path, error)}.",
            "  save the state dict alone: torch.save(network.state_dict(), PATH)",
        ) from error
    return _state_dict(path, content)


def fill(network: nn.Module, weights: Mapping[str, Tensor], name: str, path: Path) -> None:
    """Load a state dict, which must have exactly the keys and shapes of the network.

    Args:
        network: its last layer has an output for each class of the dataset.
        weights: the state dict.
        name: the name of the network, for messages.
        path: the file of the weights, for messages.

    Raises:
        UserError: keys, shapes or classes differ, or a value is NaN or infinite.
    """
    differences = _differences(network.state_dict(), weights, name)
    if differences:
        classes = _other_classes(network.state_dict(), weights)
        summary = (
            f"{len(differences)} keys differ" if classes is None else f"it knows {classes} classes"
        )
        more = (
            [f"  and {len(differences) - _MAX_LISTED} more"]
            if len(differences) > _MAX_LISTED
            else []
        )
        raise UserError(
            f"{str(path)!r} does not hold the weights of {name!r} for this dataset: {summary}.",
            *(f"  {line}" for line in differences[:_MAX_LISTED]),
            *more,
        )
    for key, value in weights.items():
        if not torch.isfinite(value).all():
            raise UserError(f"{str(path)!r} can't be used: {key!r} holds NaN or infinite values.")
    network.load_state_dict(dict(weights))


def _differences(
    expected: Mapping[str, Tensor], weights: Mapping[str, Tensor], name: str
) -> list[str]:
    return [
        *(f"missing: {key} {_shape(expected[key])}" for key in expected if key not in weights),
        *(f"unexpected: {key} {_shape(weights[key])}" for key in weights if key not in expected),
        *(
            f"other shape: {key} is {_shape(weights[key])} there, {_shape(expected[key])} in"
            f" {name!r}"
            for key in expected
            if key in weights and expected[key].shape != weights[key].shape
        ),
    ]


def _other_classes(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> int | None:
    """Return the number of classes of the weights if only that differs; otherwise None."""
    if expected.keys() != weights.keys():
        return None
    differing = [key for key in expected if expected[key].shape != weights[key].shape]
    sizes = {weights[key].shape[:1] for key in differing}
    other_shapes = any(expected[key].shape[1:] != weights[key].shape[1:] for key in differing)
    return None if other_shapes or len(sizes) != 1 else next(iter(sizes))[0]


def _reason(path: Path, error: Exception) -> str:
    if path.stat().st_size == 0:
        return "it is empty"
    object_type = re.search(r"GLOBAL (\S+)", str(error))
    if object_type:
        return f"it holds {object_type[1]}, and other objects than tensors could run code"
    with path.open("rb") as file:
        archive = file.read(2) == b"PK"
    if archive or path.suffix == ".safetensors":
        return "it is truncated or damaged"
    return "it was not written by torch.save, or is damaged"


def _state_dict(path: Path, content: Any) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{str(path)!r} holds no state dict, but a {type(content).__name__}.")
    non_tensors = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if non_tensors:
        raise UserError(f"{str(path)!r} holds no state dict: {non_tensors[0]!r} is no tensor.")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def _shape(value: Tensor) -> str:
    return str(tuple(value.shape))
