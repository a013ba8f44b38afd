"""Converts bytes to normalized inputs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normalizer:
    """Maps bytes to numbers of mean 0 and standard deviation 1, channel by channel.

    Attributes:
        scale: (W * C,) factor of each byte in a row of pixels.
        shift: (W * C,) added after scaling.
    """

    scale: Tensor
    shift: Tensor

    @classmethod
    def of(cls, mean: Sequence[float], std: Sequence[float], width: int) -> Self:
        """Make it from mean and standard deviation of each channel, on the scale of 0 to 1.

        The factors are repeated for a row of pixels, because an inner dimension of three channels
        is not vectorized.

        Args:
            width: pixels in a row.
        """
        scale = [1 / (255 * deviation) for deviation in std]
        shift = [-center / deviation for center, deviation in zip(mean, std, strict=True)]
        return cls(torch.tensor(scale * width), torch.tensor(shift * width))

    def __call__(self, images: Tensor, dtype: torch.dtype, channels_last: bool) -> Tensor:
        """Convert (B, H, W, C) uint8 to (B, C, H, W), contiguous unless channels_last."""
        rows = torch.addcmul(self.shift, images.flatten(2).float(), self.scale)
        values = rows.to(dtype).view(images.shape).permute(0, 3, 1, 2)
        return values if channels_last else values.contiguous()

    def to(self, device: torch.device) -> Self:
        """Return a copy on another device."""
        return replace(self, scale=self.scale.to(device), shift=self.shift.to(device))
