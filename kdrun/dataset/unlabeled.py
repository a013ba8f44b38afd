"""Hides the labels of training samples."""

from dataclasses import replace

import torch
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.dataset.samples import S
from kdrun.dataset.splits import SplitSamples, list_empty_classes, stratify

KEY = "dataset.unlabeled"


def hide_labels(
    split: SplitSamples[S], share: float, classes: tuple[str, ...], seed: int
) -> tuple[SplitSamples[S], Tensor]:
    """Set the labels of a share of each class's samples to 0.

    Args:
        share: the share to hide, above 0; 1 hides all labels.
        classes: names of the classes, in the order of their labels.
        seed: decides whose labels are hidden.

    Returns:
        The split, and (N,) bool: whether each sample has a label.

    Raises:
        UserError: a class keeps no label.
    """
    hidden = stratify(split.targets, round(share * len(split.ids)), seed, "unlabeled")
    labeled = torch.ones(len(split.ids), dtype=torch.bool)
    labeled[hidden] = False
    empty = list_empty_classes(split.targets[labeled], classes)
    if empty and share < 1:
        raise UserError(
            f"no label is left of {empty}.",
            f"  hide fewer with a smaller {KEY}; 1 hides all, for a teacher of another run",
        )
    targets = split.targets.where(labeled, 0)
    return replace(split, samples=split.samples.relabel(targets)), labeled
