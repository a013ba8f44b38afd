"""Where batches of pixels come from: memory on the device, or files through worker processes."""

import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from kdrun.core.errors import BadSample, KdrunError, UserError
from kdrun.dataset.image.augment import crop_and_flip
from kdrun.dataset.image.pictures import OnDisk, Pictures
from kdrun.dataset.settings import Augment


class WorkerDied(KdrunError):
    """A process that reads pictures ended before its time."""

    status = 8


@dataclass(frozen=True)
class Request:
    """One batch to be read.

    Attributes:
        index: (B,) int64 positions in the split.
        draws: (B, columns) uniform numbers that augment it; None to leave it as it is.
    """

    index: Tensor
    draws: Tensor | None


class Feed(Protocol):
    """Serves the pixels of a split, batch by batch, in the order of the requests."""

    @property
    def device(self) -> torch.device:
        """Where its batches are."""

    @property
    def place(self) -> torch.device:
        """Where its requests are wanted."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of an image."""

    def read(self, requests: Iterable[Request]) -> Iterator[Tensor]:
        """(B, H, W, C) uint8 for each request."""

    def to(self, device: torch.device) -> Self:
        """The same for another device."""

    def select(self, positions: Tensor) -> Self:
        """The same for some of the samples, which are numbered anew."""


@dataclass(frozen=True)
class MemoryFeed:
    """All images in one tensor (N, H, W, C) on the device, augmented there."""

    images: Tensor
    augment: Augment

    @property
    def device(self) -> torch.device:
        return self.images.device

    @property
    def place(self) -> torch.device:
        return self.images.device

    @property
    def shape(self) -> tuple[int, int, int]:
        _, height, width, channels = self.images.shape
        return height, width, channels

    def read(self, requests: Iterable[Request]) -> Iterator[Tensor]:
        for request in requests:
            images = self.images.index_select(0, request.index)
            if request.draws is not None:
                images = crop_and_flip(images, request.draws, self.augment.crop, self.augment.flip)
            yield images

    def to(self, device: torch.device) -> Self:
        return replace(self, images=self.images.to(device))

    def select(self, positions: Tensor) -> Self:
        return replace(self, images=self.images[positions.to(self.place)])


@dataclass(frozen=True)
class StreamFeed:
    """Images that are read when they are asked for, ahead of their use, by worker processes.

    Workers keep no state: a request says all that its batch depends on.
    """

    pictures: Pictures
    size: tuple[int, int, int]
    augment: Augment
    workers: int | str
    device: torch.device

    @property
    def place(self) -> torch.device:
        return torch.device("cpu")

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.size

    def read(self, requests: Iterable[Request]) -> Iterator[Tensor]:
        """Read ahead.

        Raises:
            BadSample: a picture can't be read; it is named.
            WorkerDied: a worker process was killed or crashed.
        """
        loader = DataLoader(
            _Reader(self.pictures, self.augment),
            batch_size=None,
            sampler=requests,
            num_workers=_workers(self.workers, self.device),
            pin_memory=self.device.type == "cuda",
            worker_init_fn=_leave_interrupts_to_parent,
        )
        try:
            for answer in loader:
                if isinstance(answer, _Failure):
                    raise BadSample(*answer.lines)
                yield answer.to(self.device, non_blocking=True)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise WorkerDied(
                "a process that reads pictures died.",
                f"  {str(error).splitlines()[0]}",
                "  where memory ran short, a smaller dataset.workers helps",
            ) from error

    def to(self, device: torch.device) -> Self:
        return replace(self, device=device)

    def select(self, positions: Tensor) -> Self:
        return replace(self, pictures=self.pictures.select(positions))


@dataclass(frozen=True)
class _Failure:
    """A complaint on its way out of a worker; torch would bury it in a traceback."""

    lines: tuple[str, ...]


class _Reader(Dataset[Tensor | _Failure]):
    def __init__(self, pictures: Pictures, augment: Augment) -> None:
        self.pictures, self.augment = pictures, augment

    def __getitem__(self, request: Request) -> Tensor | _Failure:
        try:
            return self._read(request)
        except UserError as error:
            return _Failure(error.lines)

    def _read(self, request: Request) -> Tensor:
        draws, smallest = request.draws, self.augment.resized_crop
        if draws is None:
            return self.pictures.read(request.index)
        if smallest is not None and isinstance(self.pictures, OnDisk):
            images = self.pictures.read_crops(request.index, draws, smallest)
        else:
            images = self.pictures.read(request.index)
        return crop_and_flip(images, draws, self.augment.crop, self.augment.flip)


def _workers(asked: int | str, device: torch.device) -> int:
    """Processes that read; this one's share of the cores is the number of torch's threads.

    On the CPU `auto` is none: the same cores read in threads and then compute, in turn.
    """
    if asked == "auto":
        return max(1, torch.get_num_threads() - 1) if device.type == "cuda" else 0
    return int(asked)


def _leave_interrupts_to_parent(_: int) -> None:
    # Ctrl-C reaches the whole process group, and the step in progress still needs its batch.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
