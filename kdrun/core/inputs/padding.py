"""Removes the padding of texts from inputs."""

from collections.abc import Iterator

import torch
from torch import Tensor

from kdrun.core.inputs.types import Inputs, take


def without_padding(inputs: Inputs) -> Iterator[Inputs]:
    """Yield all samples in batches without padding: texts of equal lengths together.

    Args:
        inputs: images, which have no padding, or texts with the keys of `Encoding.keys`.
    """
    if isinstance(inputs, Tensor):
        yield inputs
        return
    masks = [name for name in inputs if name.rpartition(":")[2] == "mask"]
    lengths = torch.stack([inputs[name].sum(1) for name in masks], 1)  # (B, encodings)
    for columns in lengths.unique(dim=0):
        batch = dict(take(inputs, (lengths == columns).all(1).nonzero().squeeze(1)))
        for mask, length in zip(masks, columns.tolist(), strict=True):
            tokens = f"{mask.removesuffix('mask')}tokens"
            batch |= {name: batch[name][:, :length] for name in (tokens, mask)}
        yield batch
