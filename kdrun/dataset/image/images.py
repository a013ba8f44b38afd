"""Image datasets in memory or on disk.

Shapes: N images of a split, B images of a batch, (H, W, C) an image.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kdrun.dataset.image.augment import crop_box
from kdrun.dataset.image.contents import hash_contents
from kdrun.dataset.image.image_files import ImageFormat, cut, fit, read_image
from kdrun.dataset.image.threads import in_threads
from kdrun.dataset.samples import Hash


@dataclass(frozen=True)
class InMemory:
    """Images in memory.

    Attributes:
        images: (N, H, W, C) uint8.
        targets: (N,) int64 labels.
    """

    images: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of an image."""
        _, height, width, channels = self.images.shape
        return height, width, channels

    @property
    def nbytes(self) -> int:
        """Bytes that the pixels take in memory."""
        return self.images.nbytes

    def select(self, positions: Tensor) -> Self:
        """Return the images at these positions, in this order."""
        return replace(self, images=self.images[positions], targets=self.targets[positions])

    def relabel(self, targets: Tensor) -> Self:
        """Return the same images with other labels."""
        return replace(self, targets=targets)

    def read(self, index: Tensor) -> Tensor:
        """Return the images at these positions: (B, H, W, C) uint8."""
        return self.images.index_select(0, index)

    def files(self, positions: list[int]) -> list[Path]:
        """Return an empty list, as images in memory have no files."""
        return []

    def hash_into(self, digest: Hash) -> None:
        """Add the shape and all pixels to a digest."""
        digest.update(str(tuple(self.images.shape)).encode())
        digest.update(self.images.contiguous().numpy())

    def hash_contents_into(self, digest: Hash) -> None:
        """Add nothing, as `hash_into` adds all pixels."""


@dataclass(frozen=True)
class OnDisk:
    """Image files, decoded when they are read.

    Attributes:
        root: the folder that the names are relative to.
        names: (N,) file names as bytes in one array: a list of a million strings would be copied
            page by page into every worker that counts references to it.
        sizes: (N,) bytes of each file.
        targets: (N,) int64 labels.
        center: share of a resized image that the center crop keeps.
        format: the format that every image is converted to; None until it is chosen.
    """

    root: Path
    names: NDArray[np.bytes_]
    sizes: NDArray[np.int64]
    targets: Tensor
    center: float
    format: ImageFormat | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of an image."""
        image_format = self._format()
        return (*image_format.size, image_format.channels)

    @property
    def nbytes(self) -> int:
        """Bytes that the pixels would take in memory."""
        return len(self) * self._format().nbytes

    def select(self, positions: Tensor) -> Self:
        """Return the images at these positions, in this order."""
        indices = positions.numpy()
        return replace(
            self,
            names=self.names[indices],
            sizes=self.sizes[indices],
            targets=self.targets[positions],
        )

    def relabel(self, targets: Tensor) -> Self:
        """Return the same images with other labels."""
        return replace(self, targets=targets)

    def path(self, position: int) -> Path:
        """Return the file of one image."""
        return self.root / os.fsdecode(self.names[position])

    def files(self, positions: list[int]) -> list[Path]:
        """Return the files of these images."""
        return [self.path(position) for position in positions]

    def read(self, index: Tensor) -> Tensor:
        """Return the centers of the resized images at these positions: (B, H, W, C) uint8."""
        image_format = self._format()

        def read_one(position: int) -> NDArray[np.uint8]:
            return fit(read_image(self.path(position), image_format.channels), image_format)

        return _stack(read_one, index.tolist())

    def read_crops(self, index: Tensor, draws: Tensor, smallest: float) -> Tensor:
        """Return a random crop of each image at these positions: (B, H, W, C) uint8.

        Args:
            index: (B,) positions.
            draws: (B, columns) uniform numbers that decide the crops.
            smallest: least share of an image's area that a crop keeps.
        """
        image_format, rows, positions = self._format(), draws.tolist(), index.tolist()

        def read_crop(number: int) -> NDArray[np.uint8]:
            image = read_image(self.path(positions[number]), image_format.channels)
            box = crop_box(rows[number], (image.height, image.width), smallest)
            return cut(image, box, image_format)

        return _stack(read_crop, range(len(positions)))

    def hash_into(self, digest: Hash) -> None:
        """Add the format, and the names and sizes of the files, to a digest."""
        # Digests are in files: this text must stay, whatever class and fields are called.
        text = "None"
        if self.format is not None:
            channels, shorter_side = self.format.channels, self.format.shorter_side
            size = self.format.size
            text = f"Frame(size={size}, channels={channels}, shorter_side={shorter_side})"
        digest.update(text.encode())
        digest.update(b"\0".join(self.names.tolist()))
        digest.update(np.ascontiguousarray(self.sizes))

    def hash_contents_into(self, digest: Hash) -> None:
        """Add the bytes of the files to a digest."""
        digest.update(hash_contents(self.files([*range(len(self))])).encode())

    def _format(self) -> ImageFormat:
        if self.format is None:
            raise ValueError("the files have no format yet")
        return self.format


Images = InMemory | OnDisk


def _stack(read: Callable[[int], NDArray[np.uint8]], positions: Sequence[int]) -> Tensor:
    return torch.from_numpy(np.stack(in_threads(read, positions)))
