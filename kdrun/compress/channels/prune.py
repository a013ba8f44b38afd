"""Networks with fewer channels: the least important go, with all that depends on them."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from kdrun.compress.channels.groups import Group, find_groups
from kdrun.compress.channels.importance import IMPORTANCES, Evidence
from kdrun.compress.channels.remove import cut_channels
from kdrun.compress.channels.select import EmptyLayer, gone_of_all, gone_of_each
from kdrun.compress.channels.verify import first_half, refuse_misled
from kdrun.core.errors import UserError
from kdrun.core.registry import resolve

_STEPS = 12  # of a bisection, which finds a ratio to 1 in 4096


@dataclass(frozen=True)
class Choice:
    """Which channels go, however many they are.

    Attributes:
        importance: a name of `IMPORTANCES`; the least important go.
        scope: `uniform` takes the same share of each group of layers, `global` the least important
            of all groups together.
        round_to: the channels that stay in a group are a multiple of it.
        skip: globs of module paths whose output channels all stay.
    """

    importance: str
    scope: Literal["uniform", "global"]
    round_to: int
    skip: Sequence[str]


def prune_channels(
    network: nn.Module, sample: Tensor, ratio: float, choice: Choice, evidence: Evidence
) -> nn.Module:
    """A copy of a network without a share of its channels; the network stays as it is.

    Args:
        sample: a batch of inputs (B, C, H, W) on the network's device, of which only shape and
            type matter.
        ratio: the share of channels that go, 0 to below 1. Of n channels of a group, these are
            round(ratio n); of all n with scope `global`. The network's outputs are not counted.

    Raises:
        UserError: nothing would go, or all of a layer; torch-pruning is missing or can't follow
            the network's channels; the importance needs what is not there.
    """
    if not 0 <= ratio < 1:
        raise UserError(f"ratio={ratio:g} is no share of channels: it is from 0 to below 1.")
    candidates = _candidates(network, sample, choice, evidence)
    pruned, gone = _pruned(network, candidates, ratio, choice)
    if not any(map(len, gone)):
        raise UserError(
            f"ratio={ratio:g} takes no channel of any layer.", "  take a higher ratio, or no step"
        )
    refuse_misled(network, sample, candidates.groups, gone)
    return pruned


def prune_to_cost(
    network: nn.Module,
    sample: Tensor,
    share: float,
    cost: Callable[[nn.Module], float],
    of: str,
    choice: Choice,
    evidence: Evidence,
) -> tuple[nn.Module, float]:
    """As `prune_channels`, by the least ratio at which a cost is down to a share of what it was.

    Found by bisection, because the cost falls as the ratio grows.

    Args:
        share: of the whole network's cost, above 0 and below 1.
        cost: of a network, as its multiplications or its latency.
        of: what the cost is called.

    Returns:
        The pruned copy, and the ratio.

    Raises:
        UserError: no ratio is enough; or as `prune_channels`.
    """
    if not 0 < share < 1:
        raise UserError(f"{share:g} is no share of a cost: it is above 0 and below 1.")
    candidates = _candidates(network, sample, choice, evidence)
    refuse_misled(
        network, sample, candidates.groups, [first_half(one) for one in candidates.groups]
    )
    whole, low, high = cost(network), 0.0, 1.0
    best: tuple[nn.Module, float] | None = None
    least = whole
    for _ in range(_STEPS):
        ratio = (low + high) / 2
        found = _pruned_or_none(network, candidates, ratio, choice)
        own = None if found is None else cost(found)
        if own is not None:
            least = min(least, own)
        if own is not None and own > share * whole:
            low = ratio
        else:
            high = ratio
            best = best if found is None else (found, ratio)
    if best is None:
        left = f"{least / whole:.3f} of the {'MACs' if of == 'macs' else of}"
        raise UserError(
            f"{of}={share:g} can't be reached: with a channel left in each layer, {left} remain.",
            "  take a larger share, or skip fewer layers",
        )
    return best


@dataclass(frozen=True)
class _Candidates:
    groups: list[Group]
    scores: list[Tensor]


def _candidates(
    network: nn.Module, sample: Tensor, choice: Choice, evidence: Evidence
) -> _Candidates:
    """What may be pruned, and how much it matters; groups without a score are left out."""
    score = resolve("importance", IMPORTANCES, choice.importance)
    groups = find_groups(network, sample, choice.skip)
    scores = score(network, groups, evidence)
    for group, one in zip(groups, scores, strict=True):
        if one is not None and not one.isfinite().all():
            raise UserError(f"the importance of {group.path!r}'s channels is not a finite number.")
    return _Candidates(
        [group for group, one in zip(groups, scores, strict=True) if one is not None],
        [one for one in scores if one is not None],
    )


def _pruned(
    network: nn.Module, candidates: _Candidates, ratio: float, choice: Choice
) -> tuple[nn.Module, list[Tensor]]:
    choose = gone_of_each if choice.scope == "uniform" else gone_of_all
    gone = choose(candidates.groups, candidates.scores, ratio, choice.round_to)
    pruned = deepcopy(network)
    pruned.zero_grad(set_to_none=True)
    cut_channels(pruned, candidates.groups, gone)
    return pruned, gone


def _pruned_or_none(
    network: nn.Module, candidates: _Candidates, ratio: float, choice: Choice
) -> nn.Module | None:
    try:
        return _pruned(network, candidates, ratio, choice)[0]
    except EmptyLayer:
        return None
