"""Prune the least important channels of a network, by a ratio or to a cost."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor, nn

from kdrun.compress.channels.channel_group import ChannelGroup
from kdrun.compress.channels.groups import find_groups
from kdrun.compress.channels.importance import IMPORTANCES, ScoringInputs
from kdrun.compress.channels.remove import remove_channels
from kdrun.compress.channels.select import EmptyLayer, select_global, select_uniform
from kdrun.compress.channels.verify import first_half, verify_pruning
from kdrun.core.errors import UserError
from kdrun.core.inputs.types import Inputs

_BISECTIONS = 12  # they find a ratio to within 1 / 4096


@dataclass(frozen=True)
class PruningCriterion:
    """How channels to prune are chosen, independent of their number.

    Attributes:
        importance: a name of `IMPORTANCES`; the least important channels are pruned.
        scope: `uniform` prunes the same share of each group, `global` ranks the channels of all
            groups together.
        round_to: the number of channels that remain in a group is a multiple of it.
        skip: globs of module paths whose output channels are not pruned.
    """

    importance: str
    scope: Literal["uniform", "global"]
    round_to: int
    skip: Sequence[str]


class PrunedToCost(NamedTuple):
    """A pruned network, and the ratio of its channels that were pruned."""

    network: nn.Module
    ratio: float


def prune_channels(
    network: nn.Module,
    sample: Inputs,
    ratio: float,
    criterion: PruningCriterion,
    inputs: ScoringInputs,
) -> nn.Module:
    """Return a copy of a network without a share of its channels.

    Args:
        network: the network, which is left unchanged.
        sample: a batch of inputs on the network's device, of which only shape and
            dtype are used.
        ratio: share of channels to prune, 0 to below 1: round(ratio n) of the n channels of each
            group, or of all groups with scope `global`. Outputs of the network are not counted.
        criterion: how the channels are chosen.
        inputs: data for computing scores.

    Raises:
        UserError: no channel or all channels of a layer would be pruned; torch-pruning is not
            installed or can't follow the channels; or the scores can't be computed.
    """
    scored = _score_groups(network, sample, criterion, inputs)
    removed = _select(scored, ratio, criterion)
    if not any(map(len, removed)):
        raise UserError(
            f"ratio={ratio:g} prunes no channel of any layer.",
            "  take a higher ratio, or leave this step out",
        )
    # Other channels as well, so that the check before a run does not depend on its random weights.
    for trial in ([first_half(group) for group in scored.groups], removed):
        verify_pruning(network, sample, scored.groups, trial)
    return _remove(network, scored, removed)


def prune_to_cost(
    network: nn.Module,
    sample: Inputs,
    share: float,
    cost: Callable[[nn.Module], float],
    cost_name: str,
    criterion: PruningCriterion,
    inputs: ScoringInputs,
) -> PrunedToCost:
    """Prune as `prune_channels`, with the least ratio that reduces a cost to a share of it.

    The ratio is found by bisection: the cost falls as the ratio rises.

    Args:
        network: the network, which is left unchanged.
        sample: as in `prune_channels`.
        share: share of the unpruned network's cost that may remain, above 0 and below 1.
        cost: computes the cost of a network, such as its MACs or its latency.
        cost_name: the key of the config that `share` stands in, for messages.
        criterion: as in `prune_channels`.
        inputs: as in `prune_channels`.

    Raises:
        UserError: no ratio reaches the cost; or as `prune_channels`.
    """
    scored = _score_groups(network, sample, criterion, inputs)
    verify_pruning(network, sample, scored.groups, [first_half(group) for group in scored.groups])
    unpruned_cost, low, high = cost(network), 0.0, 1.0
    lowest_cost = unpruned_cost
    best: PrunedToCost | None = None
    for _ in range(_BISECTIONS):
        ratio = (low + high) / 2
        try:
            candidate = _remove(network, scored, _select(scored, ratio, criterion))
        except EmptyLayer:
            high = ratio
            continue
        candidate_cost = cost(candidate)
        lowest_cost = min(lowest_cost, candidate_cost)
        if candidate_cost > share * unpruned_cost:
            low = ratio
        else:
            high, best = ratio, PrunedToCost(candidate, ratio)
    if best is None:
        unit = "MACs" if cost_name == "macs" else cost_name
        raise UserError(
            f"{cost_name}={share:g} can't be reached: with a channel left in each layer,"
            f" {lowest_cost / unpruned_cost:.3f} of the {unit} remain.",
            "  take a larger share, or skip fewer layers",
        )
    return best


class _ScoredGroups(NamedTuple):
    """Groups of channels, with the scores (channels,) of each."""

    groups: list[ChannelGroup]
    scores: list[Tensor]


def _score_groups(
    network: nn.Module, sample: Inputs, criterion: PruningCriterion, inputs: ScoringInputs
) -> _ScoredGroups:
    """Find and score the groups of a network. Groups that can't be scored are left out."""
    compute_scores = IMPORTANCES[criterion.importance]
    groups = find_groups(network, sample, criterion.skip)
    scored = _ScoredGroups([], [])
    for group, scores in zip(groups, compute_scores(network, groups, inputs), strict=True):
        if scores is None:
            continue
        if not scores.isfinite().all():
            raise UserError(f"the importance of {group.path!r}'s channels is not a finite number.")
        scored.groups.append(group)
        scored.scores.append(scores)
    return scored


def _select(scored: _ScoredGroups, ratio: float, criterion: PruningCriterion) -> list[Tensor]:
    select = select_uniform if criterion.scope == "uniform" else select_global
    return select(scored.groups, scored.scores, ratio, criterion.round_to)


def _remove(network: nn.Module, scored: _ScoredGroups, removed: list[Tensor]) -> nn.Module:
    pruned = deepcopy(network)
    pruned.zero_grad(set_to_none=True)
    remove_channels(pruned, scored.groups, removed)
    return pruned
