"""Orders samples so that those of a batch have about the same length, and little padding."""

import torch
from torch import Tensor

_BLOCK = 50  # batches whose samples are sorted together


def bucket(order: Tensor, lengths: Tensor, batch_size: int, random: torch.Generator) -> Tensor:
    """Return a shuffled order in which the batches have samples of about the same length.

    The order is divided into blocks of 50 batches. The samples of a block are sorted by their
    length and divided into batches, and the batches of all blocks are shuffled. Samples that don't
    fill a batch stay last.

    Args:
        order: (N,) positions in random order.
        lengths: (samples,) length of each sample.
        batch_size: samples in a batch.
        random: decides the order of the batches.

    Returns:
        (N,) the same positions.
    """
    batches = len(order) // batch_size
    full, rest = order[: batches * batch_size], order[batches * batch_size :]
    block = torch.arange(len(full)) // (_BLOCK * batch_size)
    keys = block * (int(lengths.max()) + 1) + lengths[full]
    by_length = full[keys.argsort(stable=True)].view(batches, batch_size)
    shuffled = by_length[torch.randperm(batches, generator=random)]
    return torch.cat([shuffled.flatten(), rest])


def longest_first(lengths: Tensor, batch_size: int) -> Tensor:
    """Return all positions, so that the batches go from long samples to short ones.

    The longest batch is the first, as it is the one that may not fit in memory. In a batch the
    positions ascend.
    """
    order = lengths.argsort(stable=True, descending=True)
    return torch.cat([batch.sort().values for batch in order.split(batch_size)])
