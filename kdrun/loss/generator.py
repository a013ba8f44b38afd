"""A generator of images, and its training beside a student."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_WIDTH = 128  # channels of the generator's first maps


class Generator(nn.Module):
    """Maps noise (B, latent) to images (B, C, H, W) with mean 0 and variance 1 in each channel.

    A linear layer makes maps of a quarter of the images' size; two blocks each double the size and
    convolve, as in the generators of DAFL (arXiv:1904.01186) and ZSKT (arXiv:1905.09768). The last
    norm, without weights, keeps images in the range of normalized images.

    Args:
        latent: size of a noise vector.
        channels: channels of the images.
        size: (height, width) of the images.
    """

    def __init__(self, latent: int, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.latent, self.size = latent, size
        self.start = tuple(max(1, -(-side // 4)) for side in size)
        self.spread = nn.Linear(latent, _WIDTH * self.start[0] * self.start[1])
        self.layers = nn.Sequential(
            nn.BatchNorm2d(_WIDTH),
            nn.Upsample(scale_factor=2),
            *_convolve(_WIDTH, _WIDTH),
            nn.Upsample(scale_factor=2),
            *_convolve(_WIDTH, _WIDTH // 2),
            nn.Conv2d(_WIDTH // 2, channels, 3, padding=1),
            nn.Tanh(),
            nn.BatchNorm2d(channels, affine=False),
        )

    def forward(self, noise: Tensor) -> Tensor:
        maps = self.spread(noise).view(len(noise), _WIDTH, *self.start)
        height, width = self.size
        return self.layers(maps)[:, :, :height, :width]

    def draw(self, count: int) -> Tensor:
        """Return `count` images from random noise, drawn by torch's global generator."""
        device = self.spread.weight.device
        return self(torch.randn(count, self.latent, device=device))


class GeneratorTraining(nn.Module):
    """Trains a generator by Adam; checkpoints contain Adam's state with the loss's.

    Args:
        generator: the network to train.
        rate: Adam's learning rate.
    """

    def __init__(self, generator: Generator, rate: float) -> None:
        super().__init__()
        self.generator = generator
        self._adam = torch.optim.Adam(generator.parameters(), lr=rate)

    def step(self, objective: Callable[[Tensor], Tensor], count: int) -> None:
        """Update the generator once, to minimize an objective on new images.

        Only the generator's weights change, not those of networks that the objective calls.

        Args:
            objective: function from images (B, C, H, W) to a scalar.
            count: number of images.
        """
        weights = list(self.generator.parameters())
        for weight in weights:  # the engine freezes them, as no phase of the loss trains them
            weight.requires_grad_(True)
        with torch.enable_grad():
            value = objective(self.generator.draw(count))
            gradients = torch.autograd.grad(value, weights)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    def get_extra_state(self) -> dict[str, Any]:
        return self._adam.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self._adam.load_state_dict(state)


def _convolve(source: int, target: int) -> list[nn.Module]:
    convolution = nn.Conv2d(source, target, 3, padding=1)
    return [convolution, nn.BatchNorm2d(target), nn.LeakyReLU(0.2)]
