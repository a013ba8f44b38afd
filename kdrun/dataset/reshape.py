"""Bring all pictures of a set to one size and number of channels, and into memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.dataset.image import Frame, read_header
from kdrun.dataset.pictures import Files, Pictures, Tensors, in_threads

_BLOCK = 1024  # images that are resized at once: their float copies must not fill the memory


def reshape_images(pictures: Tensors, image_size: int | None, channels: int | None) -> Tensors:
    """Grey from color or color from grey; the shorter side resized and the center cut out."""
    _, height, width, own = pictures.images.shape
    same_size = image_size is None or (height, width) == (image_size, image_size)
    if same_size and channels in (None, own):
        return pictures
    blocks = pictures.images.permute(0, 3, 1, 2).split(_BLOCK)
    size = None if same_size else image_size
    images = torch.cat([_reshape(block, size, channels or own) for block in blocks])
    return replace(pictures, images=images.permute(0, 2, 3, 1).contiguous())


def frame_files(files: Files, image_size: int | None, channels: int | None) -> Frame:
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


def require_one_size(files: Files) -> None:
    """Pictures that are read as they are have one size; looked up in all, and decoded in none.

    Raises:
        UserError: two of them differ; both are named.
    """
    if files.frame is None or files.frame.shorter_side is not None:
        return
    for position, (size, _) in enumerate(_headers(files, range(len(files)))):
        if size != files.frame.size:
            (height, width), (own_height, own_width) = files.frame.size, size
            raise UserError(
                f"the pictures differ in size: most begin with {width}x{height} pixels,"
                f" {str(files.path(position))!r} has {own_width}x{own_height}.",
                f"  give them one: dataset.image_size={min(files.frame.size)}",
            )


def nbytes(pictures: Pictures) -> int:
    """What the pixels take in memory."""
    if isinstance(pictures, Tensors):
        return pictures.images.nbytes
    return len(pictures) * (pictures.frame.nbytes if pictures.frame else 0)


def into_memory(pictures: Pictures) -> Tensors:
    """Decode all files."""
    if isinstance(pictures, Tensors):
        return pictures
    return Tensors(pictures.read(torch.arange(len(pictures))), pictures.targets)


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


def _first_of_classes(files: Files) -> list[int]:
    labels = files.targets.tolist()
    return sorted({label: at for at, label in reversed(list(enumerate(labels)))}.values())


def _headers(files: Files, positions: Sequence[int]) -> Iterator[tuple[tuple[int, int], bool]]:
    return in_threads(lambda at: read_header(files.path(at)), positions)
