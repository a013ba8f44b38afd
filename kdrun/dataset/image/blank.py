"""Finds datasets whose images are black, or nearly so, before a network learns from them."""

from collections.abc import Iterable
from pathlib import Path

import torch

from kdrun.core.errors import UserError
from kdrun.dataset.image.image_files import UnreadableImages, read_header, read_image
from kdrun.dataset.image.images import Images, OnDisk
from kdrun.dataset.samples import spread

SAMPLE = 64  # files of a split that are looked at
_BLOCK = 16  # images that are looked at together
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
            f"images like {str(dark_file)!r} have 16 bits, and none reaches {_TWELVE_BITS:,}.",
            "  65,535 is white; the files don't say another white, and they would be nearly black",
            "  multiply their values so that white is 65,535, or save them with 8 bits",
        )


def note_blank(images: Images, name: str) -> tuple[str, ...]:
    """Return a warning if all pixels are equal, in a sample if the images are files.

    Args:
        images: the images.
        name: which images they are, for the warning.
    """
    count = len(images)
    positions = spread(count, SAMPLE) if isinstance(images, OnDisk) else range(count)
    blocks = torch.tensor(positions).split(_BLOCK)
    first = images.read(blocks[0])[0, 0, 0]
    if not all((images.read(block) == first).all() for block in blocks):
        return ()
    value = ", ".join(map(str, first.tolist()))
    return (
        f"warning: all {name} pixels are equal ({value}), so nothing can be learned from them: look"
        " at the files",
    )


def _brightest(path: Path) -> int | None:
    """Return the largest level of an image of 16 bits, in 8 bits; None for other images."""
    try:
        if not read_header(path).sixteen_bits:
            return None
        return max(read_image(path, 3).tobytes())
    except UnreadableImages:  # reported with all other unreadable files
        return None
