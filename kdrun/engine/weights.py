"""Copies, writes and reads the weights of networks."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from kdrun.core.atomic import write_bytes
from kdrun.core.errors import DamagedFile
from kdrun.core.reading import open_record
from kdrun.core.store import BEST_WEIGHTS


def copy_weights(network: nn.Module) -> dict[str, Tensor]:
    """Copy the network's state dict to the CPU, as contiguous tensors that share no memory."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous(memory_format=torch.contiguous_format)
        for name, value in network.state_dict().items()
    }


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write a safetensors file, which appears only when it is complete.

    Raises:
        DiskFull: the disk is full or read-only.
    """
    write_bytes(path, save(dict(weights)))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        DamagedFile: the file is truncated, or is not a safetensors file.
    """
    try:
        with open_record(path) as file:
            return load(file.read())
    except (SafetensorError, OSError) as error:
        raise DamagedFile(f"{str(path)!r} can't be read as weights: {error}.") from error


def write_best(folder: Path, network: nn.Module) -> None:
    """Write the weights of the best epoch; the checkpoint has the number of this epoch."""
    write_weights(folder / BEST_WEIGHTS, copy_weights(network))


def read_best(folder: Path) -> dict[str, Tensor]:
    """Read the weights of the best epoch so far."""
    return read_weights(folder / BEST_WEIGHTS)
