"""What a reader hands over: pictures as one tensor or as a list of files, with their labels."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kdrun.dataset.image.augment import crop_box
from kdrun.dataset.image.frames import Frame, Unreadable, cut, fit, read_image

_CHUNK = 16  # pictures that a thread takes at a time: handing over costs as much as a small one


class Hash(Protocol):
    """The part of hashlib's objects that is used here."""

    def update(self, data: Any, /) -> None: ...


@dataclass(frozen=True)
class InMemory:
    """Pictures in memory.

    Attributes:
        images: (N, H, W, C) uint8.
        targets: (N,) int64 labels.
    """

    images: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def select(self, positions: Tensor) -> Self:
        """Only these, in this order."""
        return replace(self, images=self.images[positions], targets=self.targets[positions])

    def read(self, index: Tensor) -> Tensor:
        """Some pictures: (B, H, W, C) uint8."""
        return self.images.index_select(0, index)

    def hash_into(self, digest: Hash) -> None:
        digest.update(str(tuple(self.images.shape)).encode())
        digest.update(self.images.contiguous().numpy())


@dataclass(frozen=True)
class OnDisk:
    """Pictures on disk.

    Attributes:
        root: the folder that all names start from.
        names: (N,) file names as bytes in one array: a list of a million strings would be copied
            page by page into every worker that counts references to it.
        sizes: (N,) bytes of each file.
        targets: (N,) int64 labels.
        center: share of the resized picture that the center crop keeps, where it is resized.
        frame: what every picture is brought to; None until that is known.
    """

    root: Path
    names: NDArray[np.bytes_]
    sizes: NDArray[np.int64]
    targets: Tensor
    center: float
    frame: Frame | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def select(self, positions: Tensor) -> Self:
        """Only these, in this order."""
        chosen = positions.numpy()
        return replace(
            self,
            names=self.names[chosen],
            sizes=self.sizes[chosen],
            targets=self.targets[positions],
        )

    def path(self, position: int) -> Path:
        return self.root / os.fsdecode(self.names[position])

    def read(self, index: Tensor) -> Tensor:
        """Some pictures, whole: (B, H, W, C) uint8."""
        frame = self._frame()
        return _stack(
            lambda at: fit(read_image(self.path(at), frame.channels), frame), index.tolist()
        )

    def read_crops(self, index: Tensor, draws: Tensor, smallest: float) -> Tensor:
        """Some pictures, of each the crop that its row of draws says: (B, H, W, C) uint8."""
        frame, rows = self._frame(), draws.tolist()
        places = index.tolist()

        def read_one(row: int) -> NDArray[np.uint8]:
            image = read_image(self.path(places[row]), frame.channels)
            return cut(image, crop_box(rows[row], (image.height, image.width), smallest), frame)

        return _stack(read_one, range(len(places)))

    def hash_into(self, digest: Hash) -> None:
        digest.update(f"{self.frame}".encode())
        digest.update(b"\0".join(self.names.tolist()))
        digest.update(np.ascontiguousarray(self.sizes))

    def _frame(self) -> Frame:
        if self.frame is None:
            raise ValueError("the files have no frame yet")
        return self.frame


Pictures = InMemory | OnDisk


@dataclass(frozen=True)
class RawDataset:
    """A dataset as its reader found it, before classes are chosen and parts are split.

    Attributes:
        classes: class names in the order of the labels.
        train: the training part, or all there is.
        validation: the set's own validation part, if it has one.
        test: the set's own test part, if it has one.
        notes: what the user should know of how it was read, in sentences.
    """

    classes: tuple[str, ...]
    train: Pictures
    validation: Pictures | None = None
    test: Pictures | None = None
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, Pictures]:
        """The parts that are there, by name."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: pictures for name, pictures in found.items() if pictures is not None}


def in_threads(work: Callable[[int], Any], positions: Sequence[int]) -> list[Any]:
    """Do file work in as many threads as torch may use; Pillow decodes without Python's lock.

    Raises:
        Unreadable: names all that can't be read.
    """

    def attempt(at: int) -> Any:
        try:
            return work(at)
        except Unreadable as error:
            return error.with_traceback(None)  # whose frames would hold what they read

    done = list(_spread(attempt, positions))
    unreadable = [pair for one in done if isinstance(one, Unreadable) for pair in one.found]
    if unreadable:
        raise Unreadable(unreadable)
    return done


def _spread(work: Callable[[int], Any], positions: Sequence[int]) -> Iterator[Any]:
    threads = torch.get_num_threads()
    if threads == 1:
        yield from map(work, positions)
        return
    chunks = [positions[start : start + _CHUNK] for start in range(0, len(positions), _CHUNK)]
    with ThreadPoolExecutor(threads) as pool:
        for done in pool.map(lambda chunk: [work(at) for at in chunk], chunks):
            yield from done


def _stack(read_one: Callable[[int], NDArray[np.uint8]], positions: Sequence[int]) -> Tensor:
    return torch.from_numpy(np.stack(in_threads(read_one, positions)))
