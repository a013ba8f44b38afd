"""Training augmentation: crops and flips that are decided by given random numbers.

The `draws` are uniform numbers from `kdrun.core.seeds.uniform`, a row for each sample: columns 0
and 1 decide the position of the crop, column 2 the flip, the others the shape of a resized crop.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from kdrun.dataset.image.settings import Augment

_POSITION_AND_FLIP = 3  # columns of the draws
_PROPOSALS = 10  # shapes that are tried for a resized crop, with two columns each
_RATIO = 4 / 3  # a resized crop's sides differ by at most this factor


class Box(NamedTuple):
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


def draw_columns(augment: Augment) -> int:
    """Return the number of draws for each sample; 0 if nothing is augmented."""
    if augment.resized_crop is not None:
        return _POSITION_AND_FLIP + 2 * _PROPOSALS
    return _POSITION_AND_FLIP if augment.crop or augment.flip else 0


def crop_and_flip(images: Tensor, draws: Tensor, padding: int, flip: bool) -> Tensor:
    """Pad with zeros, cut out a window of the images' size, mirror about half of them.

    A row of a window is contiguous in the padded batch, so that one index_select over an
    overlapping view copies all rows; it was the fastest of eight ways on one CPU thread.

    Args:
        images: (B, H, W, C) uint8.
        draws: (B, at least 3) in [0, 1).
        padding: zeros on each side, in pixels.
        flip: whether to mirror.

    Returns:
        (B, H, W, C) uint8.
    """
    count, height, width, channels = images.shape
    # A product in float32 can round up to the number of offsets.
    offsets = (draws[:, :2] * (2 * padding + 1)).long().clamp(max=2 * padding)
    top, left = offsets.unbind(1)
    image = torch.arange(count, device=images.device)
    if flip:
        images = torch.cat([images, images.flip(2)])
        mirrored = draws[:, 2] < 0.5
        image = image + count * mirrored
        left = torch.where(mirrored, 2 * padding - left, left)
    padded = F.pad(images, (0, 0, padding, padding, padding, padding))
    row = torch.arange(height, device=images.device)
    rows = (image * padded.shape[1] + top)[:, None] + row
    starts = (rows * padded.shape[2] + left[:, None]) * channels
    windows = padded.view(-1).unfold(0, width * channels, 1)
    return windows.index_select(0, starts.flatten()).view(count, height, width, channels)


def crop_box(draws: Sequence[float], size: tuple[int, int], smallest: float) -> Box:
    """Return a box of random area and proportions, as Szegedy et al. 2015 (arXiv:1409.4842).

    Section 6 of the paper. The first of ten proposed shapes that fits into the image gets a random
    position. If none fits, the box is the largest one in the center with allowed proportions.

    Args:
        draws: 23 uniform numbers.
        size: (height, width) of the image.
        smallest: least share of the image's area that a box has; the largest is 1.
    """
    height, width = size
    end = _POSITION_AND_FLIP + 2 * _PROPOSALS
    for column in range(_POSITION_AND_FLIP, end, 2):
        area = height * width * (smallest + draws[column] * (1 - smallest))
        ratio = _RATIO ** (2 * draws[column + 1] - 1)
        box_height, box_width = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < box_height <= height and 0 < box_width <= width:
            top = int(draws[0] * (height - box_height + 1))
            left = int(draws[1] * (width - box_width + 1))
            return Box(top, left, box_height, box_width)
    box_height, box_width = min(height, round(width * _RATIO)), min(width, round(height * _RATIO))
    return Box((height - box_height) // 2, (width - box_width) // 2, box_height, box_width)
