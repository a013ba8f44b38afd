"""How many channels go from each group, and which."""

from collections.abc import Sequence
from math import gcd

import torch
from torch import Tensor

from kdrun.compress.channels.groups import Group
from kdrun.core.errors import UserError

Scores = Sequence[Tensor]  # (channels,) of each group


class EmptyLayer(UserError):
    """A ratio that would leave a layer without channels."""


def gone_of_each(
    groups: Sequence[Group], scores: Scores, ratio: float, round_to: int
) -> list[Tensor]:
    """The channels that go when each group loses the same share: round(ratio n) of n.

    What must stay equal in several parts of a group is counted once.

    Args:
        round_to: what stays of each is a multiple of it, the nearest that the group has.

    Raises:
        UserError: a group would lose all, or has fewer channels than `round_to`.
    """
    counts = [round(ratio * group.positions) for group in groups]
    return _gone(groups, scores, counts, ratio, round_to)


def gone_of_all(
    groups: Sequence[Group], scores: Scores, ratio: float, round_to: int
) -> list[Tensor]:
    """The channels that go when the lowest scores of all groups do: round(ratio n) of n in all.

    As far as parts of a group that must stay equal, and `round_to`, allow.

    Raises:
        UserError: a group would lose all, or has fewer channels than `round_to`.
    """
    flat = torch.cat([_by_position(*one) for one in zip(groups, scores, strict=True)])
    owner = torch.cat([torch.full((g.positions,), number) for number, g in enumerate(groups)])
    size = torch.cat([torch.full((g.positions,), g.parts) for g in groups])
    order = flat.argsort(stable=True)
    wanted = round(ratio * int(size.sum()))
    lowest = order[size[order].cumsum(0) <= wanted]
    counts = owner[lowest].bincount(minlength=len(groups)).tolist()
    return _gone(groups, scores, counts, ratio, round_to)


def _gone(
    groups: Sequence[Group],
    scores: Scores,
    counts: Sequence[int],
    ratio: float,
    round_to: int,
) -> list[Tensor]:
    found = []
    for group, score, count in zip(groups, scores, counts, strict=True):
        if count >= group.positions:
            raise EmptyLayer(
                f"ratio={ratio:g} leaves no channel of {group.path!r}, which has {group.channels}.",
                f"  take a lower ratio, or skip=[{group.path}]; of scope=global, scope=uniform",
            )
        count = group.positions - _rounded(group, group.positions - count, round_to)
        lowest = _by_position(group, score).argsort(stable=True)[:count]
        parts = torch.arange(group.parts) * group.positions
        found.append((parts[:, None] + lowest).flatten())
    return found


def _by_position(group: Group, scores: Tensor) -> Tensor:
    """(positions,) the mean over the parts of a group."""
    return scores.reshape(group.parts, -1).mean(dim=0)


def _rounded(group: Group, kept: int, round_to: int) -> int:
    """The number of positions next to `kept` with which the channels are a multiple."""
    step = round_to // gcd(round_to, group.parts)
    most = group.positions // step
    if not most:
        raise UserError(
            f"round_to={round_to} is more than the {group.channels} channels of {group.path!r}.",
            f"  take a smaller one, or skip=[{group.path}]",
        )
    return min(max(1, (2 * kept + step) // (2 * step)), most) * step
