"""Converts a decoded image of any depth to 8 bits a channel, on the scale of its file format."""

from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin
from PIL.ExifTags import Base

_TOLERANCE = 0.5 / 255  # of floating-point values outside of 0 to 1, as rounding leaves them
_WHITE_IS_ZERO = 0  # TIFF's PhotometricInterpretation


class NoScale(ValueError):
    """The file does not say which of its values are black and white."""


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Convert a loaded image to a mode of 8 bits a channel, without transparency.

    Integers of more bits lose their lowest ones. Floating-point values go from 0 to 1.

    Raises:
        NoScale: the values have no known black and white, are not finite, or all colors are equal
            and the transparency is not.
    """
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        _check_colors(image)
    if not is_deep(image):
        return image
    values = np.asarray(image)
    levels = _from_floats(values) if image.mode == "F" else _from_integers(values, _bits(image))
    if _tag(image, Base.PhotometricInterpretation) == _WHITE_IS_ZERO:
        levels = 255 - levels
    return Image.fromarray(levels)


def is_deep(image: Image.Image) -> bool:
    """Return whether Pillow keeps the values of an image in more than 8 bits."""
    return image.mode.startswith(("I", "F"))


def _from_floats(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    if not np.isfinite(values).all():
        raise NoScale("it has NaN or infinite values")
    low, high = values.min(), values.max()
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        raise NoScale(
            f"its floating-point values go from {low:g} to {high:g}, where 0 is black and 1 white"
        )
    return (values.clip(0, 1) * 255).round().astype(np.uint8)


def _from_integers(values: NDArray[np.integer], bits: int) -> NDArray[np.uint8]:
    return (values.astype(np.int64) >> (bits - 8)).clip(0, 255).astype(np.uint8)


def _bits(image: Image.Image) -> int:
    """Return the bits of a grey image's unsigned integers."""
    # Pillow scales the values of a PGM file, whatever its white is, to 16 bits.
    if image.mode == "I" and image.format not in ("PNG", "PPM"):
        bits = _tag(image, Base.BitsPerSample) or 32
        kind = "signed integers of 16 bits" if bits == 16 else f"integers of {bits} bits"
        raise NoScale(f"its {kind} have no agreed white; save it with 8 or 16 unsigned bits")
    return _tag(image, Base.BitsPerSample) or 16


def _tag(image: Image.Image, tag: int) -> int | None:
    """Return a number of a TIFF file's header, of the first channel; None in other formats."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return None
    value = image.tag_v2.get(tag)
    return value[0] if isinstance(value, tuple) else value


def _check_colors(image: Image.Image) -> None:
    """Check that the content of an image with transparency is not in its transparency alone."""
    bands = image.convert("RGBA") if image.mode in ("PA", "La", "RGBa") else image
    *colors, opacity = cast("tuple[tuple[int, int], ...]", bands.getextrema())
    if all(low == high for low, high in colors) and opacity[0] < opacity[1]:
        raise NoScale(
            "its pixels have one color, and its content is in the transparency alone; draw it on a"
            " background"
        )
