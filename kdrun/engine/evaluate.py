"""Runs a network on a split of the data."""

import torch
from torch import nn

from kdrun.core.device import Hardware
from kdrun.core.mode import evaluating
from kdrun.core.named_part import part_of
from kdrun.dataset.data import Split
from kdrun.measure.metrics import Meter, Scores


def score(network: nn.Module, split: Split, hardware: Hardware, batch_size: int) -> Scores:
    """Return the scores on a split, without augmentation, in the run's precision."""
    return measure(network, split, hardware, batch_size).compute()


def new_meter(split: Split) -> Meter:
    """Return an empty meter of the task of a split."""
    meter: Meter = part_of(split.task.meter)(split.num_classes)
    return meter


@torch.inference_mode()
def measure(network: nn.Module, split: Split, hardware: Hardware, batch_size: int) -> Meter:
    """Return a meter with all predictions on a split, in its order.

    The network's mode is restored.
    """
    meter = new_meter(split)
    index: list[torch.Tensor] = []
    with evaluating(network), hardware.autocast():
        for batch in split.batches(batch_size, dtype=hardware.dtype):
            meter.update(*split.task.positions(network(batch.inputs).float(), batch))
            index.append(batch.index)
    meter.restore_order(torch.cat(index))
    return meter
