"""Remove channels of several groups from a network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kdrun.compress.channels.channel_group import ChannelGroup, PrunedDimension
from kdrun.compress.channels.layers import remove_indices, update_size_attributes


def remove_channels(
    network: nn.Module, groups: Sequence[ChannelGroup], removed: Sequence[Tensor]
) -> None:
    """Remove channels from all modules and parameters of a network, in place.

    Args:
        network: the network to prune.
        groups: groups of its channels.
        removed: for each group, the channels to remove.
    """
    for dimension, indices in removed_indices(groups, removed).items():
        remove_indices(network, dimension, indices)
    update_size_attributes(network)


def removed_indices(
    groups: Sequence[ChannelGroup], removed: Sequence[Tensor]
) -> dict[PrunedDimension, Tensor]:
    """Return the indices to remove from each dimension, for all groups together.

    They are indices in the unpruned network, so they must be removed at once.

    Args:
        groups: groups of channels.
        removed: for each group, the channels to remove.
    """
    indices: dict[PrunedDimension, list[Tensor]] = {}
    for group, channels in zip(groups, removed, strict=True):
        for member in group.members:
            indices.setdefault(member.dimension, []).append(member.indices_of(channels))
    return {dimension: torch.cat(parts) for dimension, parts in indices.items()}
