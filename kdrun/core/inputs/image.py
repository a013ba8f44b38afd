"""What images look like to networks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.inputs.types import CPU


@dataclass(frozen=True)
class ImageInputs:
    """Normalized images (B, C, H, W).

    Attributes:
        channels: 1 for grey images, 3 for color images.
        image_size: (height, width) in pixels.
        mean: mean of each channel on the scale of 0 to 1, with which images are normalized; empty
            before the files are read.
        std: standard deviation of each channel.
    """

    modality: ClassVar[str] = "image"
    sample: ClassVar[str] = "image"

    channels: int
    image_size: tuple[int, int]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (self.channels, *self.image_size)

    def example(self, count: int, device: torch.device = CPU) -> Tensor:
        """Return images of zeros (count, C, H, W)."""
        return torch.zeros(count, *self.shape, device=device)

    def random(self, count: int) -> Tensor:
        """Return images of normal noise (count, C, H, W)."""
        return torch.randn(count, *self.shape, generator=torch.Generator().manual_seed(0))

    def arguments(self, node: Mapping[str, Any]) -> dict[str, Any]:
        return {"in_channels": self.channels, "image_size": self.image_size}

    def record(self) -> dict[str, Any]:
        return {
            "channels": self.channels,
            "image_size": list(self.image_size),
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        height, width = record["image_size"]
        mean, std = record.get("mean", ()), record.get("std", ())
        return cls(record["channels"], (height, width), tuple(mean), tuple(std))

    def __str__(self) -> str:
        height, width = self.image_size
        return f"{height}x{width} images with {self.channels} channels"


def image_inputs(inputs: object, reader: str) -> ImageInputs:
    """Return a description of images, for a part of kdrun that serves images alone.

    Args:
        inputs: the description of a dataset's inputs.
        reader: what serves images alone, for the message: `scheme=dafl`.

    Raises:
        UserError: the inputs are no images.
    """
    if isinstance(inputs, ImageInputs):
        return inputs
    raise UserError(f"{reader} is for images, and the dataset has {inputs}.")
