"""The bytes of a training state: a JSON head that says what is where, then the tensors' memory.

No pickle: nothing in a file can run code. Tensors are written from where they lie and read to
where they will lie, so a state needs no second copy, and hundreds of small tensors cost what
one large one does (torch.save takes about 45 microseconds for each).
"""

import json
import struct
from collections import OrderedDict
from io import BufferedReader
from typing import Any

import torch
from torch import Tensor, nn

_LENGTH = struct.Struct(">Q")
_PLAIN = (int, float, str, bool, type(None))


def pack(state: Any) -> list[bytes | memoryview]:
    """The parts of the file, in order.

    Args:
        state: tensors, int, float, str, bool, None, and list, tuple, dict of them.

    Raises:
        TypeError: something else is in the state; the message says where.
    """
    bodies: list[memoryview] = []
    head = json.dumps(_describe(state, "state", bodies), separators=(",", ":")).encode()
    return [_LENGTH.pack(len(head)), head, *bodies]


def unpack(file: BufferedReader) -> Any:
    """The state that stands in `file` from here on; its tensors are on the CPU."""
    (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
    return _rebuild(json.loads(file.read(length)), file)


def _describe(value: Any, where: str, bodies: list[memoryview]) -> Any:
    """What JSON can say of a value; a tensor's memory is appended to `bodies`."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind in (Tensor, nn.Parameter):
        return _describe_tensor(value.detach(), bodies)
    if kind is list:
        return [_describe(item, f"{where}[{at}]", bodies) for at, item in enumerate(value)]
    if kind is tuple:
        return {"tuple": _describe(list(value), where, bodies)}
    if kind in (dict, OrderedDict):
        items = [
            [
                _describe(key, f"a key of {where}", bodies),
                _describe(item, f"{where}[{key!r}]", bodies),
            ]
            for key, item in value.items()
        ]
        return {"dict": items}
    raise TypeError(f"{where} is a {kind.__name__}, which a checkpoint can't hold")


def _describe_tensor(tensor: Tensor, bodies: list[memoryview]) -> dict[str, Any]:
    channels_last = _is_channels_last(tensor)
    if channels_last:
        tensor = tensor.permute(0, 2, 3, 1)
    memory = tensor.cpu().contiguous().reshape(-1).view(torch.uint8)
    bodies.append(memory.numpy().data)
    name = str(tensor.dtype).removeprefix("torch.")
    return {"tensor": name, "shape": list(tensor.shape), "channels_last": channels_last}


def _is_channels_last(tensor: Tensor) -> bool:
    # Kept, as optimizers are slow where a buffer's strides differ from its parameter's.
    if tensor.dim() != 4 or tensor.is_contiguous():
        return False
    return tensor.is_contiguous(memory_format=torch.channels_last)


def _rebuild(said: Any, file: BufferedReader) -> Any:
    if isinstance(said, list):
        return [_rebuild(item, file) for item in said]
    if not isinstance(said, dict):
        return said
    if "tensor" in said:
        return _rebuild_tensor(said, file)
    if "tuple" in said:
        return tuple(_rebuild(said["tuple"], file))
    return {_rebuild(key, file): _rebuild(item, file) for key, item in said["dict"]}


def _rebuild_tensor(said: dict[str, Any], file: BufferedReader) -> Tensor:
    tensor = torch.empty(said["shape"], dtype=getattr(torch, said["tensor"]))
    file.readinto(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return tensor.permute(0, 3, 1, 2) if said["channels_last"] else tensor
