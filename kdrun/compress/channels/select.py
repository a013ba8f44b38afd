"""Select the channels to prune from each group, by their scores."""

from collections.abc import Sequence
from math import gcd

import torch
from torch import Tensor

from kdrun.compress.channels.channel_group import ChannelGroup
from kdrun.core.errors import UserError

Scores = Sequence[Tensor]  # (channels,) for each group


class EmptyLayer(UserError):
    """The ratio would leave a layer without channels."""


def select_uniform(
    groups: Sequence[ChannelGroup], scores: Scores, ratio: float, round_to: int
) -> list[Tensor]:
    """Select the same share of each group's channels, those with the lowest scores.

    Args:
        groups: groups of channels.
        scores: scores of each group's channels.
        ratio: share to select: round(ratio n) of the n channels in each block of a group.
        round_to: the number of channels that remain in a group is the nearest multiple of it.

    Returns:
        The selected channels of each group.

    Raises:
        UserError: a group would lose all channels, or has fewer than `round_to`.
    """
    counts = [round(ratio * group.block_size) for group in groups]
    return _select_lowest(groups, scores, counts, ratio, round_to)


def select_global(
    groups: Sequence[ChannelGroup], scores: Scores, ratio: float, round_to: int
) -> list[Tensor]:
    """Select the channels with the lowest scores of all groups together.

    Args:
        groups: groups of channels.
        scores: scores of each group's channels.
        ratio: share to select: round(ratio n) of the n channels of all groups, or slightly
            fewer or more, as a group loses the same channels of each of its blocks and keeps a
            multiple of `round_to`.
        round_to: the number of channels that remain in a group is the nearest multiple of it.

    Returns:
        The selected channels of each group.

    Raises:
        UserError: a group would lose all channels, or has fewer than `round_to`.
    """
    # One entry for each position in the blocks of each group: its score, the number of its group,
    # and how many channels are at this position, one in each block.
    flat = torch.cat([_block_scores(*pair) for pair in zip(groups, scores, strict=True)])
    group_numbers = torch.cat(
        [torch.full((g.block_size,), number) for number, g in enumerate(groups)]
    )
    size = torch.cat([torch.full((g.block_size,), g.blocks) for g in groups])
    order = flat.argsort(stable=True)
    total = round(ratio * int(size.sum()))
    lowest = order[size[order].cumsum(0) <= total]
    counts = group_numbers[lowest].bincount(minlength=len(groups)).tolist()
    return _select_lowest(groups, scores, counts, ratio, round_to)


def _select_lowest(
    groups: Sequence[ChannelGroup],
    scores: Scores,
    counts: Sequence[int],
    ratio: float,
    round_to: int,
) -> list[Tensor]:
    """Select about `counts` channels from each block of each group.

    The ratio is for error messages only.
    """
    selected = []
    for group, score, count in zip(groups, scores, counts, strict=True):
        if count >= group.block_size:
            raise EmptyLayer(
                f"ratio={ratio:g} leaves no channel of {group.path!r}, which has {group.channels}.",
                f"  take a lower ratio, or skip=[{group.path}]; or scope=uniform, if it is global",
            )
        count = group.block_size - _round_kept(group, group.block_size - count, round_to)
        lowest = _block_scores(group, score).argsort(stable=True)[:count]
        block_starts = torch.arange(group.blocks) * group.block_size
        selected.append((block_starts[:, None] + lowest).flatten())
    return selected


def _block_scores(group: ChannelGroup, scores: Tensor) -> Tensor:
    """Return the mean score (block_size,) over the blocks of a group."""
    return scores.reshape(group.blocks, -1).mean(dim=0)


def _round_kept(group: ChannelGroup, kept: int, round_to: int) -> int:
    """Return the block size nearest to `kept` that makes the channels a multiple of `round_to`."""
    step = round_to // gcd(round_to, group.blocks)
    max_steps = group.block_size // step
    if not max_steps:
        raise UserError(
            f"round_to={round_to} is more than the {group.channels} channels of {group.path!r}.",
            f"  take a smaller one, or skip=[{group.path}]",
        )
    return min(max(1, (2 * kept + step) // (2 * step)), max_steps) * step
