"""Finds image files of 16 bits whose white is unknown, and which would be nearly black."""

from collections.abc import Iterable
from pathlib import Path

from kdrun.core.errors import UserError
from kdrun.dataset.image.image_files import UnreadableImages, read_header, read_image
from kdrun.dataset.image.images import Images
from kdrun.dataset.samples import spread

SAMPLE = 64  # files of a split that are looked at
_TWELVE_BITS = 1 << 12


def check_white(images: Iterable[Images]) -> None:
    """Check that files of 16 bits use more than the lowest 12 of them.

    Cameras and scanners of 8 to 12 bits write such files, and the scale of the format would make
    their images nearly black.

    Args:
        images: the splits of one dataset, whose files have the same white.

    Raises:
        UserError: none of the images of 16 bits that are looked at is brighter.
    """
    paths = (path for split in images for path in split.files(spread(len(split), SAMPLE)))
    dark_file = None  # the first of 16 bits
    for path in paths:
        level = _brightest(path)
        if level is not None and level >= _TWELVE_BITS >> 8:
            return
        dark_file = dark_file or (path if level is not None else None)
    if dark_file is not None:
        raise UserError(
            f"images like {str(dark_file)!r} have 16 bits, and none looked at reaches"
            f" {_TWELVE_BITS:,}.",
            "  65,535 is white; the files don't say another white, and they would be nearly black",
            "  multiply their values so that white is 65,535, or save them with 8 bits",
        )


def _brightest(path: Path) -> int | None:
    """Return the largest level of an image of 16 bits, in 8 bits; None for other images."""
    try:
        if not read_header(path).sixteen_bits:
            return None
        return max(read_image(path, 3).tobytes())
    except UnreadableImages:  # reported with all other unreadable files
        return None
