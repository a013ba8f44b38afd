"""Batches of images, from the device's memory or from files through worker processes."""

import signal
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from kdrun.core.errors import BadSample, KdrunError, UserError, first_line
from kdrun.dataset.feed import Request
from kdrun.dataset.image.augment import crop_and_flip, draw_columns
from kdrun.dataset.image.images import Images, OnDisk
from kdrun.dataset.image.settings import Augment
from kdrun.dataset.image.thumbnails import thumbnails


class WorkerDied(KdrunError):
    """A process that reads images was killed or crashed."""

    status = 8


@dataclass(frozen=True)
class MemoryFeed:
    """All images of a split in one tensor on the device, augmented there; see `Feed`.

    Attributes:
        images: (N, H, W, C) uint8.
        augment: how the images are augmented.
    """

    images: Tensor
    augment: Augment

    @property
    def device(self) -> torch.device:
        return self.images.device

    @property
    def request_device(self) -> torch.device:
        return self.images.device

    @property
    def draw_columns(self) -> int:
        return draw_columns(self.augment)

    def arrange(self, order: Tensor, batch_size: int, random: torch.Generator) -> Tensor:
        return order

    def fastest_order(self, batch_size: int) -> Tensor:
        return torch.arange(len(self.images))

    def read(self, requests: Iterable[Request]) -> Iterator[Tensor]:
        for request in requests:
            images = self.images.index_select(0, request.index)
            if request.draws is not None:
                images = crop_and_flip(images, request.draws, self.augment.crop, self.augment.flip)
            yield images

    def shown(self) -> dict[str, np.ndarray]:
        return {"images": thumbnails(self.images)}

    def only(self, encodings: Collection[str]) -> Self:
        return self

    def to(self, device: torch.device) -> Self:
        return replace(self, images=self.images.to(device))

    def select(self, positions: Tensor) -> Self:
        return replace(self, images=self.images[positions.to(self.device)])


@dataclass(frozen=True)
class StreamFeed:
    """Images that worker processes read ahead of their use; see `Feed`.

    Workers keep no state: a batch depends only on its request.

    Attributes:
        images: the images of one split.
        augment: how the images are augmented.
        workers: number of processes, or `auto`.
        device: the device of the batches.
    """

    images: Images
    augment: Augment
    workers: int | str
    device: torch.device

    @property
    def request_device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def draw_columns(self) -> int:
        return draw_columns(self.augment)

    def arrange(self, order: Tensor, batch_size: int, random: torch.Generator) -> Tensor:
        return order

    def fastest_order(self, batch_size: int) -> Tensor:
        return torch.arange(len(self.images))

    def read(self, requests: Iterable[Request]) -> Iterator[Tensor]:
        """Yield one batch (B, H, W, C) uint8 for each request.

        Raises:
            BadSample: names an image that can't be read.
            WorkerDied: a worker process was killed or crashed.
        """
        loader = DataLoader(
            _Reader(self.images, self.augment),
            batch_size=None,
            sampler=requests,
            num_workers=_count_workers(self.workers, self.device),
            pin_memory=self.device.type == "cuda",
            worker_init_fn=_leave_interrupts_to_parent,
        )
        try:
            for batch in loader:
                if isinstance(batch, _Failure):
                    raise BadSample(*batch.lines)
                yield batch.to(self.device, non_blocking=True)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise WorkerDied(
                "a process that reads images died.",
                f"  {first_line(error)}",
                "  if memory ran short, use a smaller dataset.workers",
            ) from error

    def shown(self) -> dict[str, np.ndarray]:
        (images,) = self.read([Request(torch.arange(len(self.images)), draws=None)])
        return {"images": thumbnails(images)}

    def only(self, encodings: Collection[str]) -> Self:
        return self

    def to(self, device: torch.device) -> Self:
        return replace(self, device=device)

    def select(self, positions: Tensor) -> Self:
        return replace(self, images=self.images.select(positions))


@dataclass(frozen=True)
class _Failure:
    """The message of an error in a worker; torch would bury the error itself in a traceback."""

    lines: tuple[str, ...]


class _Reader(Dataset[Tensor | _Failure]):
    """Reads a batch for each request."""

    def __init__(self, images: Images, augment: Augment) -> None:
        self.images, self.augment = images, augment

    def __getitem__(self, request: Request) -> Tensor | _Failure:
        try:
            return self._read(request)
        except UserError as error:
            return _Failure(error.lines)

    def _read(self, request: Request) -> Tensor:
        draws, smallest = request.draws, self.augment.resized_crop
        if draws is None:
            return self.images.read(request.index)
        if smallest is not None and isinstance(self.images, OnDisk):
            images = self.images.read_crops(request.index, draws, smallest)
        else:
            images = self.images.read(request.index)
        return crop_and_flip(images, draws, self.augment.crop, self.augment.flip)


def _count_workers(workers: int | str, device: torch.device) -> int:
    """Return the number of worker processes.

    `auto` is one less than torch's threads, which are this process's share of the cores. On the
    CPU it is 0, because there the same cores read, in threads, and compute.
    """
    if workers == "auto":
        return max(1, torch.get_num_threads() - 1) if device.type == "cuda" else 0
    return int(workers)


def _leave_interrupts_to_parent(_: int) -> None:
    # Ctrl-C reaches the whole process group, and the step in progress still needs its batch.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
