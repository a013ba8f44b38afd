"""Pseudo-labels: the teacher's classes in place of missing labels."""

from dataclasses import replace

import torch.nn.functional as F

from kdrun.core.types import Batch, Output
from kdrun.loss.base import Loss


def with_pseudo_labels(batch: Batch, loss: Loss, teacher: Output | None) -> Batch:
    """Return the batch with the teacher's classes as targets of unlabeled samples.

    Args:
        batch: the batch of a step, after mixup and cutmix.
        loss: its `pseudo_labels` turns the teacher's logits into classes of the student.
        teacher: the teacher's output; None leaves the batch unchanged.
    """
    if batch.labeled is None or teacher is None:
        return batch
    classes, soft = loss.pseudo_labels(teacher), batch.soft_targets
    if soft is not None:
        one_hot = F.one_hot(classes, soft.shape[1]).to(soft.dtype)
        soft = soft.where(batch.labeled[:, None], one_hot)
    targets = batch.targets.where(batch.labeled, classes)
    return replace(batch, targets=targets, soft_targets=soft)
