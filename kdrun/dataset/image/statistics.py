"""Mean and standard deviation of a training split's channels."""

from typing import NamedTuple

import torch
from torch import Tensor

from kdrun.dataset.image.images import Images, OnDisk

SAMPLE = 1024  # files that are read where images stay on disk
_BLOCK = 4096  # images counted at once
_LEAST = 1 / 255  # a single color has deviation 0, which nothing can be divided by


class ChannelStatistics(NamedTuple):
    """Mean and standard deviation of each channel, on the scale of 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def channel_statistics(images: Images) -> ChannelStatistics:
    """Compute mean and standard deviation, exactly, from counts of byte values.

    For images on disk, from a sample that is evenly spread over the files.
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
    std = variance.sqrt().clamp_min(_LEAST)
    return ChannelStatistics(tuple(mean.tolist()), tuple(std.tolist()))


def _count(plane: Tensor) -> Tensor:
    """How often each byte value occurs: (256,)."""
    blocks = plane.split(_BLOCK)
    return torch.stack([block.flatten().bincount(minlength=256) for block in blocks]).sum(0)
