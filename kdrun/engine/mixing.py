"""Label smoothing, mixup and cutmix."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kdrun.core.config import Recipe
from kdrun.core.seeds import seed_of
from kdrun.core.types import Batch


def mix_batch(batch: Batch, recipe: Recipe, num_classes: int, *counters: int | str) -> Batch:
    """Apply the recipe's label smoothing, mixup and cutmix to a batch.

    Args:
        batch: images (B, C, H, W) and labels.
        recipe: if it has both mixup and cutmix, each batch gets one of them at random.
        num_classes: C of the soft targets (B, C).
        counters: the seed, stage, phase and step: random numbers depend on nothing else.
    """
    if not (recipe.label_smoothing or recipe.mixup or recipe.cutmix):
        return batch
    soft_targets = _smooth(batch.targets, recipe.label_smoothing, num_classes)
    inputs, labeled = batch.inputs, batch.labeled
    if recipe.mixup or recipe.cutmix:
        if not isinstance(inputs, Tensor):
            raise TypeError("mixup and cutmix are for images, a single tensor")
        random = np.random.default_rng(seed_of(*counters, "mix"))
        inputs, kept_share = _mix_images(inputs, recipe, random)
        # The order within an epoch is random, so the neighbor in the batch is a random sample.
        soft_targets = soft_targets * kept_share + soft_targets.roll(1, 0) * (1 - kept_share)
        if labeled is not None:  # a sample mixed with an unlabeled one counts as unlabeled
            labeled = labeled & labeled.roll(1, 0)
    return replace(batch, inputs=inputs, soft_targets=soft_targets, labeled=labeled)


def _smooth(targets: Tensor, epsilon: float, num_classes: int) -> Tensor:
    """Return (1 - epsilon) one-hot + epsilon / C: Szegedy et al. 2016 (arXiv:1512.00567), 7."""
    return F.one_hot(targets, num_classes).float() * (1 - epsilon) + epsilon / num_classes


def _mix_images(
    images: Tensor, recipe: Recipe, random: np.random.Generator
) -> tuple[Tensor, float]:
    """Return mixed images, and the share of each image that is left in its mixture."""
    both = recipe.mixup > 0 and recipe.cutmix > 0
    cut = recipe.cutmix > 0 and (not both or random.random() < 0.5)
    alpha = recipe.cutmix if cut else recipe.mixup
    kept_share = float(random.beta(alpha, alpha))
    return _cutmix(images, kept_share, random) if cut else (_mixup(images, kept_share), kept_share)


def _mixup(images: Tensor, kept_share: float) -> Tensor:
    """Mix each image with its neighbor: Zhang et al. 2018 (arXiv:1710.09412), equation 1."""
    return images * kept_share + images.roll(1, 0) * (1 - kept_share)


def _cutmix(images: Tensor, kept_share: float, random: np.random.Generator) -> tuple[Tensor, float]:
    """Replace a box by that of the neighbor: Yun et al. 2019 (arXiv:1905.04899), eq. 1 and 2.

    Returns:
        The mixed images, and the share of each image's pixels that is left. The share is computed
        from the part of the box that lies inside the image.
    """
    height, width = images.shape[-2:]
    side = np.sqrt(1 - kept_share)
    top, bottom = _span(height, side, random)
    left, right = _span(width, side, random)
    mixed = images.clone(memory_format=torch.preserve_format)
    mixed[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _span(size: int, side: float, random: np.random.Generator) -> tuple[int, int]:
    """Return start and end of an interval of random position, cut off at the border."""
    center = int(random.integers(size))
    half = int(size * side) // 2
    return max(0, center - half), min(size, center + half)
