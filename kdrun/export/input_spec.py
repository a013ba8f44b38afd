"""The inputs of an exported network, and the normalization that its file may include."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kdrun.core.inputs import InputDescription
from kdrun.core.inputs.image import image_inputs


@dataclass(frozen=True)
class InputSpec:
    """Shape and normalization of the images that an exported network takes.

    Attributes:
        channels: channels of an image.
        size: (height, width) in pixels.
        mean: mean of each channel, for pixels scaled to 0..1.
        std: standard deviation of each channel, on the same scale.
        normalize: whether the file takes pixels in 0..1 and normalizes them itself. Otherwise it
            takes (pixels - mean) / std.
    """

    channels: int
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    normalize: bool

    def sample(self) -> Tensor:
        """Return zeros (2, C, H, W). With a single image, tracing would fix the batch size."""
        return torch.zeros(2, self.channels, *self.size)

    def denormalize(self, inputs: Tensor) -> Tensor:
        """Convert normalized images (B, C, H, W) back to pixels in 0..1."""
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return inputs * std + mean


def input_spec(inputs: InputDescription, normalize: bool) -> InputSpec:
    """Return the inputs of the file of a network.

    Raises:
        UserError: the inputs are no images.
    """
    images = image_inputs(inputs, "an exported file")
    return InputSpec(images.channels, images.image_size, images.mean, images.std, normalize)


class NormalizedNetwork(nn.Module):
    """A network that normalizes its images first.

    Args:
        network: takes normalized images (B, C, H, W).
        inputs: holds the mean and standard deviation of each channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, inputs: InputSpec) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(inputs.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(inputs.std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images - self.mean) / self.std)


def add_normalization(network: nn.Module, inputs: InputSpec) -> nn.Module:
    """Put the normalization before the network if the file is to include it."""
    return NormalizedNetwork(network, inputs).eval() if inputs.normalize else network
