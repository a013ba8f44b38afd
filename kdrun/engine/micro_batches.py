"""Splits a batch into smaller ones, whose gradients add up to the gradient of the batch."""

from collections.abc import Iterator

import torch

from kdrun.core.inputs.types import take
from kdrun.core.types import Batch


def micro_batches(batch: Batch, count: int) -> Iterator[tuple[Batch, float]]:
    """Yield `count` micro-batches of a batch, each with its share (0 to 1) of the samples."""
    if count == 1:
        yield batch, 1.0
        return
    size = len(batch.index)
    labeled_share = None if batch.labeled is None else batch.labeled.float().mean()
    for rows in torch.arange(size, device=batch.index.device).tensor_split(count):
        micro_batch = Batch(
            inputs=take(batch.inputs, rows),
            targets=batch.targets[rows],
            index=batch.index[rows],
            view=batch.view[rows],
            soft_targets=None if batch.soft_targets is None else batch.soft_targets[rows],
            labeled=None if batch.labeled is None else batch.labeled[rows],
            labeled_share=labeled_share,
        )
        yield micro_batch, len(rows) / size
