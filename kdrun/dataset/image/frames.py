"""One picture file: opened, brought to channels and size, with errors that name the file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kdrun.core.errors import UserError

# What Pillow raises on files that are no pictures, truncated, damaged, or absurdly large.
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
_MODES = {1: "L", 3: "RGB"}
_GREY = {"1", "L", "LA", "I", "I;16", "I;16B", "I;16L"}
_NAMED = 5  # of many unreadable files


class Unreadable(UserError):
    """Files that can't be read as pictures, each with the reason."""

    def __init__(self, found: Sequence[tuple[Path, str]]) -> None:
        self.found = tuple(found)
        if len(self.found) == 1:
            path, reason = self.found[0]
            head, what = f"the picture {str(path)!r} can't be read: {reason}.", "it"
        else:
            head, what = f"{len(self.found)} pictures can't be read.", "them"
        named = self.found[:_NAMED] if what == "them" else ()
        more = len(self.found) - _NAMED
        super().__init__(
            head,
            *(f"  {str(path)!r}: {reason}" for path, reason in named),
            *([f"  and {more} more"] if more > 0 else []),
            f"  mend {what} or take {what} out of the folder",
        )


@dataclass(frozen=True)
class Frame:
    """What every picture of a set is brought to.

    Attributes:
        size: (height, width) in pixels.
        channels: 1 for grey, 3 for color.
        shorter_side: pixels that the shorter side is resized to before the center is cut out;
            None where every picture must have `size` by itself.
    """

    size: tuple[int, int]
    channels: int
    shorter_side: int | None

    @property
    def nbytes(self) -> int:
        return self.size[0] * self.size[1] * self.channels


def read_image(path: Path, channels: int) -> Image.Image:
    """Decode a file into grey or RGB, 8 bits a channel.

    Raises:
        Unreadable: the file is no picture.
    """
    try:
        with Image.open(path) as image:
            return _convert(image, _MODES[channels])
    except _UNREADABLE as error:
        raise Unreadable([(path, str(error))]) from error


def read_header(path: Path) -> tuple[tuple[int, int], bool]:
    """A picture's (height, width), and whether it is grey, without decoding it.

    Raises:
        Unreadable: the file is no picture.
    """
    try:
        with Image.open(path) as image:
            return (image.height, image.width), image.mode in _GREY
    except _UNREADABLE as error:
        raise Unreadable([(path, str(error))]) from error


def fit(image: Image.Image, frame: Frame) -> NDArray[np.uint8]:
    """Resize the shorter side and cut out the center: (H, W, C).

    Raises:
        UserError: the frame asks for pictures of one size and this one has another.
    """
    height, width = frame.size
    if frame.shorter_side is None and (image.height, image.width) != frame.size:
        raise UserError(
            f"the pictures differ in size: one is {width}x{height}, another"
            f" {image.width}x{image.height} pixels.",
            f"  give them one: dataset.image_size={min(frame.size)}",
        )
    if (image.height, image.width) == frame.size and frame.shorter_side in (None, *frame.size):
        return to_array(image)
    if frame.shorter_side is not None:
        image = _resize_shorter(image, frame.shorter_side)
    # Rounded half to even, as torchvision's CenterCrop does.
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return to_array(image.crop((left, top, left + width, top + height)))


def cut(image: Image.Image, box: tuple[int, int, int, int], frame: Frame) -> NDArray[np.uint8]:
    """Resize the box (top, left, height, width) of a picture to the frame's size: (H, W, C)."""
    top, left, height, width = box
    part = image.crop((left, top, left + width, top + height))
    return to_array(part.resize(frame.size[::-1], Image.Resampling.BILINEAR))


def to_array(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels (H, W, C)."""
    return np.asarray(image).reshape(image.height, image.width, -1)


def _resize_shorter(image: Image.Image, side: int) -> Image.Image:
    shorter = min(image.width, image.height)
    if shorter == side:
        return image
    size = (side * image.width // shorter, side * image.height // shorter)
    return image.resize(size, Image.Resampling.BILINEAR)


def _convert(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow would cut 16 bits off at 255 and leave a white picture.
        wide = np.asarray(image).astype(np.int64) >> 8
        image = Image.fromarray(wide.clip(0, 255).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert(mode)
