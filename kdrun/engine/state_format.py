"""Converts a training state to bytes: a JSON header that describes it, then the tensors' memory.

There is no pickle, so a file cannot run code. Tensors are written and read without a second copy in
memory, and many small tensors cost no more than a large one (torch.save takes about 45 microseconds
for each tensor).
"""

import json
import math
import os
import struct
from collections import OrderedDict
from io import BufferedReader
from struct import error as StructError
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.core.errors import DamagedFile

_LENGTH = struct.Struct(">Q")
# What reading raises where the file holds something else, though its digest is right.
_OTHER_CONTENT = (
    StructError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
)
_PLAIN = (int, float, str, bool, type(None))


def pack(state: Any) -> list[bytes | memoryview]:
    """Return the pieces of the file, in order.

    Args:
        state: tensors, int, float, str, bool, None, and list, tuple, dict of them.

    Raises:
        TypeError: the state holds anything else; the message names the place.
    """
    memories: list[memoryview] = []
    header = json.dumps(_describe(state, "state", memories), separators=(",", ":")).encode()
    return [_LENGTH.pack(len(header)), header, *memories]


def unpack(file: BufferedReader) -> Any:
    """Read a state from the file's current position; its tensors are on the CPU.

    Raises:
        DamagedFile: the file holds something else.
    """
    start = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(start)
    try:
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
        _check_length(file, length, end)
        state = _rebuild(json.loads(file.read(length)), file, end)
        if file.tell() < end:
            raise ValueError("there is more after the state")
    except _OTHER_CONTENT as error:
        raise DamagedFile("its content is no state of a training") from error
    return state


def _check_length(file: BufferedReader, length: int, end: int) -> None:
    """Check that the file has so many bytes left, before memory is taken for them."""
    if length > end - file.tell():
        raise ValueError(f"{length} bytes are not there")


def _describe(value: Any, where: str, memories: list[memoryview]) -> Any:
    """Describe a value in JSON, and append the memory of its tensors to `memories`.

    Args:
        value: the value.
        where: an expression for the value, for messages.
        memories: the bytes of all tensors, in the order of their descriptions.
    """
    value_type = type(value)
    if value_type in _PLAIN:
        return value
    if value_type in (Tensor, nn.Parameter):
        return _describe_tensor(value.detach(), memories)
    if value_type is list:
        return [_describe(item, f"{where}[{index}]", memories) for index, item in enumerate(value)]
    if value_type is tuple:
        return {"tuple": _describe(list(value), where, memories)}
    if value_type in (dict, OrderedDict):
        items = [
            [
                _describe(key, f"a key of {where}", memories),
                _describe(item, f"{where}[{key!r}]", memories),
            ]
            for key, item in value.items()
        ]
        return {"dict": items}
    raise TypeError(f"{where} is a {value_type.__name__}, which a checkpoint can't hold")


def _describe_tensor(tensor: Tensor, memories: list[memoryview]) -> dict[str, Any]:
    channels_last = _is_channels_last(tensor)
    if channels_last:
        tensor = tensor.permute(0, 2, 3, 1)
    memory = tensor.cpu().contiguous().reshape(-1).view(torch.uint8)
    memories.append(memory.numpy().data)
    name = str(tensor.dtype).removeprefix("torch.")
    return {"tensor": name, "shape": list(tensor.shape), "channels_last": channels_last}


def _is_channels_last(tensor: Tensor) -> bool:
    # Strides are restored, as optimizers are slow if a buffer's differ from its parameter's.
    if tensor.dim() != 4 or tensor.is_contiguous():
        return False
    return tensor.is_contiguous(memory_format=torch.channels_last)


def _rebuild(description: Any, file: BufferedReader, end: int) -> Any:
    if isinstance(description, list):
        return [_rebuild(item, file, end) for item in description]
    if not isinstance(description, dict):
        return description
    if "tensor" in description:
        return _rebuild_tensor(description, file, end)
    if "tuple" in description:
        return tuple(_rebuild(description["tuple"], file, end))
    return {
        _rebuild(key, file, end): _rebuild(item, file, end) for key, item in description["dict"]
    }


def _rebuild_tensor(description: dict[str, Any], file: BufferedReader, end: int) -> Tensor:
    dtype, shape = getattr(torch, description["tensor"]), description["shape"]
    _check_length(file, math.prod(shape) * dtype.itemsize, end)
    tensor = torch.empty(shape, dtype=dtype)
    file.readinto(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return tensor.permute(0, 3, 1, 2) if description["channels_last"] else tensor
