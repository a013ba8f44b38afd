"""Refuses networks that are too large for the machine, before any of their memory is touched."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from kdrun.core.device import name_memory_errors
from kdrun.core.errors import OutOfMemory
from kdrun.core.number_format import many

_MAKERS = (torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn)
_ITEM = 4  # bytes of a float32


@contextmanager
def refuse_too_large() -> Iterator[None]:
    """Refuse what needs more memory than the machine has, in a block that builds networks.

    The system hands out more memory than there is, and ends the process that uses it.

    Raises:
        OutOfMemory: the tensors that the block makes are too large.
    """
    with name_memory_errors("is too large for the memory of this machine"), _CountBytes():
        yield


class _CountBytes(TorchFunctionMode):
    """Counts the bytes of new tensors, and raises OutOfMemory if there are too many."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func in _MAKERS:
            self._count(args)
        return func(*args, **(kwargs or {}))

    def _count(self, size: tuple[Any, ...]) -> None:
        """Add the bytes of a tensor of this size: `(2, 3)` or `((2, 3),)`."""
        numbers = size[0] if len(size) == 1 and isinstance(size[0], Sequence) else size
        if not all(isinstance(number, int) for number in numbers):
            return
        self.bytes += math.prod(numbers) * _ITEM
        if self.bytes > (limit := _memory()):
            raise OutOfMemory(
                f"needs {many(self.bytes, 'byte')} of memory or more, and this machine has"
                f" {many(limit, 'byte')}"
            )


def _memory() -> int:
    """Return the bytes of the machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
