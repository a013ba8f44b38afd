"""Runs a network on a split of the data."""

import torch
from torch import nn

from kdrun.core.device import Hardware
from kdrun.core.mode import evaluating
from kdrun.dataset.data import Split
from kdrun.measure.metrics import Meter, Scores


def score(network: nn.Module, split: Split, hardware: Hardware, batch_size: int) -> Scores:
    """Return the scores on a split, without augmentation, in the run's precision."""
    return measure(network, split, hardware, batch_size).compute()


@torch.inference_mode()
def measure(network: nn.Module, split: Split, hardware: Hardware, batch_size: int) -> Meter:
    """Return a meter with all predictions on a split, in its order.

    The network's mode is restored.
    """
    meter = Meter(split.num_classes)
    index: list[torch.Tensor] = []
    with evaluating(network), hardware.autocast():
        for batch in split.batches(batch_size, dtype=hardware.dtype):
            meter.update(network(batch.inputs).float(), batch.targets)
            index.append(batch.index)
    meter.restore_order(torch.cat(index))
    return meter
