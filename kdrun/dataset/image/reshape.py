"""Bring all pictures of a set to one size and number of channels, and into memory."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.seeds import generator
from kdrun.dataset.image.frames import Frame, read_header
from kdrun.dataset.image.pictures import InMemory, OnDisk, Pictures, in_threads

_MOST_HEADERS, _SAMPLED_HEADERS = 100_000, 10_000
_BLOCK = 1024  # images that are resized at once: their float copies must not fill the memory


def reshape_images(pictures: InMemory, image_size: int | None, channels: int | None) -> InMemory:
    """Grey from color or color from grey; the shorter side resized and the center cut out."""
    _, height, width, own = pictures.images.shape
    same_size = image_size is None or (height, width) == (image_size, image_size)
    if same_size and channels in (None, own):
        return pictures
    blocks = pictures.images.permute(0, 3, 1, 2).split(_BLOCK)
    size = None if same_size else image_size
    images = torch.cat([_reshape(block, size, channels or own) for block in blocks])
    return replace(pictures, images=images.permute(0, 2, 3, 1).contiguous())


def frame_files(files: OnDisk, image_size: int | None, channels: int | None) -> Frame:
    """The size and channels that a set of files is read with.

    Without an image size it is the first picture's. Without channels it is grey where the first
    picture of every class is, else color.
    """
    if channels is None:
        channels = 1 if all(grey for _, grey in _headers(files, _first_of_classes(files))) else 3
    if image_size is not None:
        return Frame((image_size, image_size), channels, round(image_size / files.center))
    size, _ = read_header(files.path(0))
    return Frame(size, channels, None)


def check_headers(pictures: Pictures) -> Pictures:
    """The same pictures, once their headers were read: they are decoded in the middle of a run.

    All of them where they must have one size, or are few enough; else a sample, always the same,
    as each costs an access to the disk: what is left to be found in a run is a rare single file.

    Raises:
        Unreadable: some are no pictures; they are named.
        UserError: two differ in size, and no size is asked for; one is named.
    """
    if not isinstance(pictures, OnDisk):
        return pictures
    frame = pictures.frame
    size = frame.size if frame is not None and frame.shorter_side is None else None

    def check(at: int) -> None:
        path = pictures.path(at)
        own, _ = read_header(path)
        if size not in (None, own):
            raise UserError(
                f"the pictures differ in size: most begin with {size[1]}x{size[0]} pixels,"
                f" {str(path)!r} has {own[1]}x{own[0]}.",
                f"  give them one: dataset.image_size={min(size)}",
            )

    count = len(pictures)
    if size is None and count > _MOST_HEADERS:
        chosen = torch.randperm(count, generator=generator(0, "headers"))[:_SAMPLED_HEADERS]
        in_threads(check, chosen.tolist())
    else:
        in_threads(check, range(count))
    return pictures


def nbytes(pictures: Pictures) -> int:
    """What the pixels take in memory."""
    if isinstance(pictures, InMemory):
        return pictures.images.nbytes
    return len(pictures) * (pictures.frame.nbytes if pictures.frame else 0)


def into_memory(pictures: Pictures) -> InMemory:
    """Decode all files."""
    if isinstance(pictures, InMemory):
        return pictures
    return InMemory(pictures.read(torch.arange(len(pictures))), pictures.targets)


def _reshape(images: Tensor, size: int | None, channels: int) -> Tensor:
    # Imported here: torchvision takes seconds to load, and most sets have one size already.
    from torchvision.transforms.v2 import functional as transforms

    if size is not None:
        images = transforms.resize(images, [size], antialias=True)
        images = transforms.center_crop(images, [size, size])
    if channels == images.shape[1]:
        return images
    if channels == 1:
        return transforms.rgb_to_grayscale(images)
    return images.expand(-1, channels, -1, -1)


def _first_of_classes(files: OnDisk) -> list[int]:
    labels = files.targets.tolist()
    return sorted({label: at for at, label in reversed(list(enumerate(labels)))}.values())


def _headers(files: OnDisk, positions: Sequence[int]) -> list[tuple[tuple[int, int], bool]]:
    return in_threads(lambda at: read_header(files.path(at)), positions)
