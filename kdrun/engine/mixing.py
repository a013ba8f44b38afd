"""What a recipe does to labels and whole batches: smoothing, mixup, cutmix."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kdrun.core.config import Recipe
from kdrun.core.seeds import seed_of
from kdrun.core.types import Batch


def mix_batch(batch: Batch, recipe: Recipe, num_classes: int, *counters: int | str) -> Batch:
    """The batch with the recipe's smoothing and mixing; the same batch where it has neither.

    Args:
        batch: images (B, C, H, W) and labels.
        recipe: where both mixup and cutmix are on, each batch takes one of them by a fair coin.
        num_classes: C of the soft targets (B, C).
        counters: where the batch is (seed, stage, epoch, step): all that its draws depend on.
    """
    if not (recipe.label_smoothing or recipe.mixup or recipe.cutmix):
        return batch
    soft = _smooth(batch.targets, recipe.label_smoothing, num_classes)
    inputs, labeled = batch.inputs, batch.labeled
    if recipe.mixup or recipe.cutmix:
        if not isinstance(inputs, Tensor):
            raise TypeError("mixup and cutmix are for images, a single tensor")
        random = np.random.default_rng(seed_of(*counters, "mix"))
        inputs, share = _mix_images(inputs, recipe, random)
        # The order within an epoch is random already, so a sample's neighbour is a random one.
        soft = soft * share + soft.roll(1, 0) * (1 - share)
        if labeled is not None:  # half a label is none
            labeled = labeled & labeled.roll(1, 0)
    return replace(batch, inputs=inputs, soft_targets=soft, labeled=labeled)


def _smooth(targets: Tensor, epsilon: float, num_classes: int) -> Tensor:
    """Szegedy et al. 2016 (arXiv:1512.00567), section 7: (1 - epsilon) one-hot + epsilon / C."""
    return F.one_hot(targets, num_classes).float() * (1 - epsilon) + epsilon / num_classes


def _mix_images(
    images: Tensor, recipe: Recipe, random: np.random.Generator
) -> tuple[Tensor, float]:
    both = recipe.mixup > 0 and recipe.cutmix > 0
    cut = recipe.cutmix > 0 and (not both or random.random() < 0.5)
    alpha = recipe.cutmix if cut else recipe.mixup
    share = float(random.beta(alpha, alpha))
    return _cutmix(images, share, random) if cut else (_mixup(images, share), share)


def _mixup(images: Tensor, share: float) -> Tensor:
    """Zhang et al. 2018 (arXiv:1710.09412), equation 1, each image with its neighbour."""
    return images * share + images.roll(1, 0) * (1 - share)


def _cutmix(images: Tensor, share: float, random: np.random.Generator) -> tuple[Tensor, float]:
    """Yun et al. 2019 (arXiv:1905.04899), equations 1 and 2: a box from the neighbour.

    Returns the share that is left of each image, which is exact after the box met the border.
    """
    height, width = images.shape[-2:]
    side = np.sqrt(1 - share)
    top, bottom = _span(height, side, random)
    left, right = _span(width, side, random)
    mixed = images.clone(memory_format=torch.preserve_format)
    mixed[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _span(size: int, side: float, random: np.random.Generator) -> tuple[int, int]:
    center = int(random.integers(size))
    half = int(size * side) // 2
    return max(0, center - half), min(size, center + half)
