"""Convert all images of a dataset to one size and number of channels, in memory if they fit."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.seeds import generator
from kdrun.dataset.image.image_files import Header, ImageFormat, read_header, read_image
from kdrun.dataset.image.images import Images, InMemory, OnDisk
from kdrun.dataset.image.threads import in_threads
from kdrun.dataset.image.white_level import SAMPLE
from kdrun.dataset.samples import spread

_MOST_HEADERS, _SAMPLED_HEADERS = 100_000, 10_000
_BLOCK = 1024  # images that are resized at once: their float copies must not fill the memory


def resize_images(images: InMemory, image_size: int | None, channels: int | None) -> InMemory:
    """Resize the shorter side and cut out the center; convert between color and grey.

    Args:
        image_size: height and width in pixels; None keeps the size.
        channels: 1 or 3; None keeps the channels.
    """
    height, width, channels_before = images.shape
    same_size = image_size is None or (height, width) == (image_size, image_size)
    if same_size and channels in (None, channels_before):
        return images
    blocks = images.images.permute(0, 3, 1, 2).split(_BLOCK)
    size = None if same_size else image_size
    resized = torch.cat([_resize(block, size, channels or channels_before) for block in blocks])
    return replace(images, images=resized.permute(0, 2, 3, 1).contiguous())


def choose_format(files: OnDisk, image_size: int | None, channels: int | None) -> ImageFormat:
    """Return the size and channels that image files are converted to.

    Args:
        image_size: height and width in pixels; None means those of the first image.
        channels: 1 or 3; None means 1 if the first image of every class is grey, else 3.
    """
    if channels is None:
        headers = _read_headers(files, _first_of_classes(files))
        channels = 1 if all(header.grey for header in headers) else 3
    if image_size is not None:
        return ImageFormat((image_size, image_size), channels, round(image_size / files.center))
    return ImageFormat(read_header(files.path(0)).size, channels, None)


def check_headers(images: Images) -> Images:
    """Read the headers of image files, so that a bad file is reported before the run, not in it.

    All headers are read if the images must have one size, or are few. Otherwise only those of a
    fixed sample are read, because each costs an access to the disk; a run may then still meet a
    bad file, but rarely. Of images with more than 8 bits or transparency, some are decoded.

    Returns:
        The same images.

    Raises:
        UnreadableImages: names files that are no images.
        UserError: images differ in size and are not resized; the message names one.
    """
    if not isinstance(images, OnDisk):
        return images
    decoded = set(spread(len(images), SAMPLE))
    image_format = images.format
    size = None  # the size that all files must have, if they are not resized
    if image_format is not None and image_format.shorter_side is None:
        size = image_format.size

    def check(position: int) -> None:
        path = images.path(position)
        header = read_header(path)
        if not header.plain and position in decoded:
            read_image(path, images.shape[2])
        actual = header.size
        if size not in (None, actual):
            raise UserError(
                f"the images differ in size: the first has {size[1]}x{size[0]} pixels,"
                f" {str(path)!r} has {actual[1]}x{actual[0]}.",
                f"  resize them all: dataset.image_size={min(size)}",
            )

    count = len(images)
    if size is None and count > _MOST_HEADERS:
        chosen = torch.randperm(count, generator=generator(0, "headers"))[:_SAMPLED_HEADERS]
        in_threads(check, chosen.tolist())
    else:
        in_threads(check, range(count))
    return images


def into_memory(images: Images) -> InMemory:
    """Decode all files into memory."""
    if isinstance(images, InMemory):
        return images
    return InMemory(images.read(torch.arange(len(images))), images.targets)


def _resize(images: Tensor, size: int | None, channels: int) -> Tensor:
    # Imported here: torchvision takes seconds to load, and most datasets need no resizing.
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
    first = {label: position for position, label in reversed(list(enumerate(labels)))}
    return sorted(first.values())


def _read_headers(files: OnDisk, positions: Sequence[int]) -> list[Header]:
    return in_threads(lambda position: read_header(files.path(position)), positions)
