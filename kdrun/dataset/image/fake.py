"""Images of random numbers, for tests and for measuring speed: no files, any size."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor

from kdrun.core.ranges import ImageSize
from kdrun.core.seeds import generator
from kdrun.dataset.image.images import InMemory
from kdrun.dataset.samples import RawDataset

_COARSE = 4  # each class is a pattern of 4x4 patches


def read_fake(
    num_classes: PositiveInt,
    train_size: PositiveInt,
    test_size: PositiveInt,
    image_size: ImageSize,
    channels: Literal[1, 3],
    split_seed: int,
) -> RawDataset[InMemory]:
    """Make images that can be learned: a pattern of patches for each class, with added noise.

    Args:
        num_classes: number of classes, which have equal shares of the samples.
        train_size: samples to train on, validation included.
        test_size: samples to test on.
        image_size: height and width in pixels.
        channels: 1 or 3.
        split_seed: seed of patterns and noise.
    """
    random = generator(split_seed, "fake")
    coarse = torch.rand(num_classes, channels, _COARSE, _COARSE, generator=random) * 160
    patterns = F.interpolate(coarse, size=image_size).permute(0, 2, 3, 1)
    train, test = [_draw(patterns, size, random) for size in (train_size, test_size)]
    return RawDataset(tuple(f"class {label}" for label in range(num_classes)), train, test=test)


def _draw(patterns: Tensor, size: int, random: torch.Generator) -> InMemory:
    targets = torch.arange(size) % len(patterns)
    images = torch.empty(size, *patterns.shape[1:], dtype=torch.uint8)
    images.random_(0, 96, generator=random)
    images += patterns.to(torch.uint8)[targets]
    return InMemory(images, targets)
