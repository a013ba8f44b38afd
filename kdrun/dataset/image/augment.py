"""Training augmentation of whole batches: crops and flips that follow from given draws.

The draws are uniform numbers, a row a sample, from `kdrun.core.seeds.uniform`: columns 0 and 1
place the crop, column 2 decides the flip, the others propose the shape of a resized crop.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from kdrun.dataset.settings import Augment

_PLACES, _PROPOSALS = 3, 10
_RATIO = 4 / 3  # a resized crop's sides differ by at most this factor


def draw_columns(augment: Augment) -> int:
    """How many uniform numbers a sample needs."""
    return _PLACES + (0 if augment.resized_crop is None else 2 * _PROPOSALS)


def crop_and_flip(images: Tensor, draws: Tensor, padding: int, flip: bool) -> Tensor:
    """Pad with zeros, cut out a window of the images' size, mirror every second one.

    The windows' rows are runs of neighbouring bytes in the padded batch, so one index_select
    over an overlapping view copies them all; it was the fastest of eight ways on one CPU thread.

    Args:
        images: (B, H, W, C) uint8.
        draws: (B, at least 3) in [0, 1).
        padding: zeros on each side, in pixels.
        flip: whether to mirror.

    Returns:
        (B, H, W, C) uint8.
    """
    count, height, width, channels = images.shape
    # A product in float32 can round up to the number of places.
    places = (draws[:, :2] * (2 * padding + 1)).long().clamp(max=2 * padding)
    top, left = places.unbind(1)
    picture = torch.arange(count, device=images.device)
    if flip:
        images = torch.cat([images, images.flip(2)])
        mirrored = draws[:, 2] < 0.5
        picture = picture + count * mirrored
        left = torch.where(mirrored, 2 * padding - left, left)
    padded = F.pad(images, (0, 0, padding, padding, padding, padding))
    row = torch.arange(height, device=images.device)
    rows = (picture * padded.shape[1] + top)[:, None] + row
    starts = (rows * padded.shape[2] + left[:, None]) * channels
    windows = padded.view(-1).unfold(0, width * channels, 1)
    return windows.index_select(0, starts.flatten()).view(count, height, width, channels)


def crop_box(
    draws: Sequence[float], size: tuple[int, int], smallest: float
) -> tuple[int, int, int, int]:
    """A box of random area and proportions (Szegedy et al. 2015, arXiv:1409.4842, section 6).

    The first of ten proposals that fits is placed at random; where none fits it is the largest
    box in the center whose proportions are allowed.

    Args:
        draws: 23 uniform numbers.
        size: (height, width) of the picture.
        smallest: least share of its area; the largest is 1.

    Returns:
        (top, left, height, width).
    """
    height, width = size
    for at in range(_PLACES, _PLACES + 2 * _PROPOSALS, 2):
        area = height * width * (smallest + draws[at] * (1 - smallest))
        ratio = _RATIO ** (2 * draws[at + 1] - 1)
        tall, wide = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < tall <= height and 0 < wide <= width:
            place = int(draws[0] * (height - tall + 1)), int(draws[1] * (width - wide + 1))
            return (*place, tall, wide)
    tall, wide = min(height, round(width * _RATIO)), min(width, round(height * _RATIO))
    return ((height - tall) // 2, (width - wide) // 2, tall, wide)
