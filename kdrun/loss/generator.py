"""A network that draws images, and how it is trained beside a student."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_WIDTH = 128  # channels of its first maps


class Generator(nn.Module):
    """Noise (B, latent) to images (B, C, H, W) of mean 0 and variance 1 in each channel.

    A linear layer to maps of a quarter of the size, then twice: double the size, convolve, as in
    the generators of DAFL (arXiv:1904.01186) and ZSKT (arXiv:1905.09768). The last norm, without
    weights, keeps images where normalized ones are.

    Args:
        latent: numbers in a noise vector.
        channels: of the images.
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
        """So many images, of noise from torch's global generator."""
        device = self.spread.weight.device
        return self(torch.randn(count, self.latent, device=device))


class Training(nn.Module):
    """Adam steps on a generator; their state is saved and resumed with the loss that holds this.

    Args:
        generator: what is trained.
        rate: Adam's learning rate.
    """

    def __init__(self, generator: Generator, rate: float) -> None:
        super().__init__()
        self.generator = generator
        self._adam = torch.optim.Adam(generator.parameters(), lr=rate)

    def step(self, objective: Callable[[Tensor], Tensor], count: int) -> None:
        """One update by the mean objective of so many new images.

        Only the generator's weights change, whatever networks the objective asks.
        """
        weights = list(self.generator.parameters())
        for weight in weights:  # which the engine holds for the loss's own, and leaves still
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


def _convolve(channels: int, wanted: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, wanted, 3, padding=1)
    return [convolution, nn.BatchNorm2d(wanted), nn.LeakyReLU(0.2)]
