"""Mean and standard deviation of a training split's channels."""

import torch
from torch import Tensor

from kdrun.dataset.image.pictures import OnDisk, Pictures

SAMPLE = 1024  # files that are looked at where the set is streamed
_BLOCK = 4096  # images counted at once
_LEAST = 1 / 255  # for images of a single color, whose deviation of 0 can't be divided by


def channel_statistics(pictures: Pictures) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation on the scale of 0 to 1, exact from counts of byte values.

    Of files, a sample spread evenly over them is looked at.
    """
    count = len(pictures)
    if isinstance(pictures, OnDisk):
        images = pictures.read(torch.linspace(0, count - 1, min(SAMPLE, count)).long())
    else:
        images = pictures.images
    counts = torch.stack([_count(images[..., channel]) for channel in range(images.shape[-1])])
    shares = counts.double() / counts.sum(1, keepdim=True)
    values = torch.arange(256).double() / 255
    mean = shares @ values
    variance = (shares * (values - mean[:, None]) ** 2).sum(1)
    return tuple(mean.tolist()), tuple(variance.sqrt().clamp_min(_LEAST).tolist())


def _count(plane: Tensor) -> Tensor:
    """How often each byte value occurs: (256,)."""
    blocks = plane.split(_BLOCK)
    return torch.stack([block.flatten().bincount(minlength=256) for block in blocks]).sum(0)
