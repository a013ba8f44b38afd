"""The orientation that a camera writes into EXIF: how an image must be turned to be upright."""

from contextlib import suppress
from struct import error as StructError

from PIL import Image
from PIL.ExifTags import Base
from PIL.Image import Transpose

_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_SWAPPED = (5, 6, 7, 8)  # orientations in which width and height change places
_DAMAGED = (OSError, SyntaxError, ValueError, TypeError, KeyError, EOFError, StructError)


def orientation_of(image: Image.Image) -> int | None:
    """Return the orientation of an image file; None if it has none, or its EXIF is damaged."""
    with suppress(*_DAMAGED):
        # PNG's own `getexif` would decode the pixels to look for a chunk behind them.
        value = Image.Image.getexif(image).get(Base.Orientation)
        return value if value in _TURNS else None
    return None


def upright(image: Image.Image, orientation: int | None) -> Image.Image:
    """Turn an image as its orientation says."""
    return image if orientation is None else image.transpose(_TURNS[orientation])


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return the (height, width) of an image file when it is upright, without decoding it."""
    # Pillow turns TIFF files itself, and says so in their size.
    if image.format != "TIFF" and orientation_of(image) in _SWAPPED:
        return image.width, image.height
    return image.height, image.width
