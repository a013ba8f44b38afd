"""Weights between networks and files."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from kdrun.core.atomic import write_bytes
from kdrun.core.errors import DamagedFile
from kdrun.core.store import BEST_WEIGHTS


def copy_weights(network: nn.Module) -> dict[str, Tensor]:
    """The network's state on the CPU, each tensor on its own and contiguous."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous(memory_format=torch.contiguous_format)
        for name, value in network.state_dict().items()
    }


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write a safetensors file as a whole.

    Raises:
        DiskFull: the disk is full or refuses.
    """
    write_bytes(path, save(dict(weights)))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        DamagedFile: it is truncated or no safetensors file.
    """
    try:
        return load(path.read_bytes())
    except (SafetensorError, OSError) as error:
        raise DamagedFile(f"{str(path)!r} can't be read as weights: {error}.") from error


def write_best(folder: Path, network: nn.Module) -> None:
    """Keep the best epoch's weights beside the checkpoint, which knows the epoch."""
    write_weights(folder / BEST_WEIGHTS, copy_weights(network))


def read_best(folder: Path) -> dict[str, Tensor]:
    """The weights of the best epoch by validation so far."""
    return read_weights(folder / BEST_WEIGHTS)
