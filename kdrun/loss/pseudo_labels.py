"""Samples without labels in a batch: the teacher's decisions stand for what is not there."""

from dataclasses import replace

import torch.nn.functional as F

from kdrun.core.types import Batch, Output
from kdrun.loss.base import Loss


def with_pseudo_labels(batch: Batch, loss: Loss, teacher: Output | None) -> Batch:
    """The batch with the teacher's decisions for targets where labels are missing.

    Args:
        batch: as it is served, mixed if it is.
        loss: knows which of the student's classes the teacher means.
        teacher: what it answered; without it the batch stays as it is.
    """
    if batch.labeled is None or teacher is None:
        return batch
    decisions, soft = loss.pseudo_labels(teacher), batch.soft_targets
    if soft is not None:
        certain = F.one_hot(decisions, soft.shape[1]).to(soft.dtype)
        soft = soft.where(batch.labeled[:, None], certain)
    targets = batch.targets.where(batch.labeled, decisions)
    return replace(batch, targets=targets, soft_targets=soft)
