"""Mean and standard deviation of a training split's channels."""

from typing import NamedTuple

import torch
from torch import Tensor

from kdrun.dataset.image.images import Images, OnDisk

SAMPLE = 1024  # images on disk that are read
_BLOCK = 4096  # images counted at once
_LEAST_STD = 1 / 255  # images of a single color have 0, and inputs are divided by it


class ChannelStatistics(NamedTuple):
    """Mean and standard deviation of each channel, on the scale of 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def channel_statistics(images: Images) -> ChannelStatistics:
    """Compute mean and standard deviation, exactly, from counts of byte values.

    If the images are on disk, only a sample, evenly spread over the files, is read.
    """
    count = len(images)
    if isinstance(images, OnDisk):
        pixels = images.read(torch.linspace(0, count - 1, min(SAMPLE, count)).long())
    else:
        pixels = images.images
    counts = torch.stack([_count(pixels[..., channel]) for channel in range(pixels.shape[-1])])
    shares = counts.double() / counts.sum(1, keepdim=True)
    values = torch.arange(256).double() / 255
    mean = shares @ values
    variance = (shares * (values - mean[:, None]) ** 2).sum(1)
    std = variance.sqrt().clamp_min(_LEAST_STD)
    return ChannelStatistics(tuple(mean.tolist()), tuple(std.tolist()))


def _count(plane: Tensor) -> Tensor:
    """Count how often each byte value occurs: (256,)."""
    blocks = plane.split(_BLOCK)
    return torch.stack([block.flatten().bincount(minlength=256) for block in blocks]).sum(0)
