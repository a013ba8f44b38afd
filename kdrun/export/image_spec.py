"""The images that an exported network takes, and the normalization that its file may include."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.export import Dim

from kdrun.core.inputs import InputDescription
from kdrun.core.inputs.image import image_inputs
from kdrun.core.inputs.types import Inputs
from kdrun.core.memory_format import contiguous

_CODE = {
    "numpy": """\
pixels = np.random.default_rng(0).random((2, {shape}), np.float32)  # yours: 0..255, divided by 255
""",
    "torch": """\
pixels = torch.rand(2, {shape}, generator=torch.Generator().manual_seed(0))  # yours: 0..255, / 255
""",
}
_NORMALIZE = {
    "numpy": """\
mean, std = (np.array(v, np.float32).reshape(-1, 1, 1) for v in ({mean}, {std}))
images = (pixels - mean) / std""",
    "torch": """\
mean, std = (torch.tensor(v).view(-1, 1, 1) for v in ({mean}, {std}))
images = (pixels - mean) / std""",
}
_PIXELS = "pixels scaled to 0..1, which the file itself normalizes by\nmean {mean} and std {std}"
_NORMALIZED = "pixels scaled to 0..1, then (pixels - mean) / std with\nmean {mean} and std {std}"


@dataclass(frozen=True)
class ImageSpec:
    """Shape and normalization of the images that an exported network takes; see `InputSpec`.

    Attributes:
        channels: channels of an image.
        size: (height, width) in pixels.
        mean: mean of each channel, for pixels scaled to 0..1.
        std: standard deviation of each channel, on the same scale.
        normalize: whether the file takes pixels in 0..1 and normalizes them itself. Otherwise it
            takes (pixels - mean) / std.
    """

    names: ClassVar[tuple[str, ...]] = ("images",)

    channels: int
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    normalize: bool

    def example(self) -> tuple[Tensor, ...]:
        """Return zeros (2, C, H, W). With a single image, tracing would fix the batch size."""
        return (torch.zeros(2, self.channels, *self.size),)

    def dynamic_sizes(self) -> tuple[dict[int, Dim], ...]:
        return ({0: Dim("batch", min=1)},)

    def arguments(self, inputs: Inputs) -> tuple[Tensor, ...]:
        assert isinstance(inputs, Tensor)
        return (contiguous(self.denormalize(inputs) if self.normalize else inputs),)

    def denormalize(self, images: Tensor) -> Tensor:
        """Convert normalized images (B, C, H, W) back to pixels in 0..1."""
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return images * std + mean

    def positional(self, network: nn.Module) -> nn.Module:
        """Put the normalization before the network if the file is to include it."""
        return NormalizedNetwork(network, self).eval() if self.normalize else network

    def head(self) -> str:
        shape = f"(batch, {self.channels}, {self.size[0]}, {self.size[1]})"
        return f"takes `images`, float32 of shape {shape} with any batch\nsize,"

    def description(self) -> str:
        return (_PIXELS if self.normalize else _NORMALIZED).format(**self._values())

    def code(self, arrays: str) -> str:
        shape = ", ".join(map(str, (self.channels, *self.size)))
        prepare = "images = pixels" if self.normalize else _NORMALIZE[arrays]
        return _CODE[arrays].format(shape=shape) + prepare.format(**self._values())

    def _values(self) -> dict[str, list[float]]:
        pairs = {"mean": self.mean, "std": self.std}
        return {key: [float(f"{value:.9g}") for value in pair] for key, pair in pairs.items()}


def image_spec(inputs: InputDescription, normalize: bool) -> ImageSpec:
    """Return the images that the file of a network takes."""
    images = image_inputs(inputs, "this export")
    return ImageSpec(images.channels, images.image_size, images.mean, images.std, normalize)


class NormalizedNetwork(nn.Module):
    """A network that normalizes its images first.

    Args:
        network: takes normalized images (B, C, H, W).
        inputs: holds the mean and standard deviation of each channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, inputs: ImageSpec) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(inputs.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(inputs.std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images - self.mean) / self.std)
