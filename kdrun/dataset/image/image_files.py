"""Decode one image file and convert it to a size and channels; errors name the file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import error as StructError
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kdrun.core.errors import UserError
from kdrun.core.reading import open_named
from kdrun.dataset.image.augment import Box
from kdrun.dataset.image.eight_bits import to_eight_bits
from kdrun.dataset.image.orientation import orientation_of, upright, upright_size

# What Pillow raises for files that are no images, truncated, damaged, or absurdly large.
_UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    StructError,
    EOFError,
    Image.DecompressionBombError,
)
_MODES = {1: "L", 3: "RGB"}
_GREY = ("1", "L", "LA", "La", "F", "I")  # modes; I stands for I;16, I;16B, ..., too
_PLAIN = ("1", "L", "P", "RGB", "CMYK", "YCbCr")
_MAX_NAMED = 5  # unreadable files that a message names


class Unreadable(NamedTuple):
    """A file that can't be read as an image, and why."""

    path: Path
    reason: str


class UnreadableImages(UserError):
    """Files that can't be read as images.

    Args:
        reasons: the files, each with the reason.
    """

    def __init__(self, reasons: Sequence[Unreadable]) -> None:
        self.reasons = tuple(reasons)
        if len(reasons) == 1:
            path, reason = reasons[0]
            lines = [f"the image {str(path)!r} can't be read: {reason}."]
        else:
            lines = [f"{len(reasons)} images can't be read."]
            lines += [f"  {str(path)!r}: {reason}" for path, reason in reasons[:_MAX_NAMED]]
        if len(reasons) > _MAX_NAMED:
            lines.append(f"  and {len(reasons) - _MAX_NAMED} more")
        pronoun = "it" if len(reasons) == 1 else "them"
        super().__init__(*lines, f"  repair {pronoun} or take {pronoun} out of the folder")


@dataclass(frozen=True)
class ImageFormat:
    """The size and channels that every image of a dataset is converted to.

    Attributes:
        size: (height, width) in pixels.
        channels: 1 for grey, 3 for color.
        shorter_side: pixels that the shorter side is resized to before the center is cut out;
            None if images are not resized and must all have this size.
    """

    size: tuple[int, int]
    channels: int
    shorter_side: int | None

    @property
    def nbytes(self) -> int:
        """Bytes of an image."""
        return self.size[0] * self.size[1] * self.channels


def read_image(path: Path, channels: int) -> Image.Image:
    """Decode a file into grey or RGB, 8 bits a channel, upright.

    Raises:
        UnreadableImages: the file is no image, or its values have no scale.
    """
    try:
        with open_named(path) as file, Image.open(file) as image:
            image.load()
            turned = upright(to_eight_bits(image), orientation_of(image))
            return turned.convert(_MODES[channels])
    except _UNREADABLE as error:
        raise UnreadableImages([Unreadable(path, str(error))]) from error


class Header(NamedTuple):
    """The header of an image file.

    Attributes:
        size: (height, width) of the upright image.
        grey: whether it has no colors.
        plain: whether it has 8 bits a channel and no transparency, so that any values can be read.
        sixteen_bits: whether the file has 16 bits a channel, of which Pillow may keep 8.
    """

    size: tuple[int, int]
    grey: bool
    plain: bool = True
    sixteen_bits: bool = False


def read_header(path: Path) -> Header:
    """Read an image's header, without decoding the image.

    Raises:
        UnreadableImages: the file is no image.
    """
    try:
        with open_named(path) as file, Image.open(file) as image:
            return Header(
                size=upright_size(image),
                grey=image.mode.split(";")[0] in _GREY,
                plain=image.mode in _PLAIN and "transparency" not in image.info,
                sixteen_bits=";16" in str(image.tile),  # Pillow's name of the layout in the file
            )
    except _UNREADABLE as error:
        raise UnreadableImages([Unreadable(path, str(error))]) from error


def fit(image: Image.Image, target: ImageFormat) -> NDArray[np.uint8]:
    """Resize the shorter side and cut out the center: (H, W, C).

    Raises:
        UserError: the image has another size, and images are not resized.
    """
    height, width = target.size
    if target.shorter_side is None and (image.height, image.width) != target.size:
        raise UserError(
            f"the images differ in size: one is {width}x{height}, another"
            f" {image.width}x{image.height} pixels.",
            f"  resize them all: dataset.image_size={min(target.size)}",
        )
    if (image.height, image.width) == target.size and target.shorter_side in (None, *target.size):
        return to_array(image)
    if target.shorter_side is not None:
        image = _resize_shorter(image, target.shorter_side)
    # Rounded half to even, as torchvision's CenterCrop does.
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return to_array(image.crop((left, top, left + width, top + height)))


def cut(image: Image.Image, box: Box, target: ImageFormat) -> NDArray[np.uint8]:
    """Cut a box out of an image and resize it: (H, W, C)."""
    top, left, height, width = box
    cropped = image.crop((left, top, left + width, top + height))
    return to_array(cropped.resize(target.size[::-1], Image.Resampling.BILINEAR))


def to_array(image: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels: (H, W, C)."""
    return np.asarray(image).reshape(image.height, image.width, -1)


def _resize_shorter(image: Image.Image, side: int) -> Image.Image:
    shorter = min(image.width, image.height)
    if shorter == side:
        return image
    size = (side * image.width // shorter, side * image.height // shorter)
    return image.resize(size, Image.Resampling.BILINEAR)
