"""The step that prunes whole channels, so that layers become smaller."""

from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Literal

from pydantic import PositiveInt
from torch import nn

from kdrun.compress.channels.importance import ScoringInputs
from kdrun.compress.channels.plan import make_channel_plan
from kdrun.compress.channels.prune import PruningCriterion, prune_channels, prune_to_cost
from kdrun.compress.step_inputs import StepInputs
from kdrun.compress.structure_changes import CompressionResult
from kdrun.core.ranges import OpenUnit, UnitBelowOne
from kdrun.core.types import DataInfo
from kdrun.measure.cost import macs
from kdrun.stage.base import Stage
from kdrun.step.context import Quantizes, StepContext
from kdrun.step.strength import Strength, the_goal

Importance = Literal["l1", "l2", "bn_scale", "fpgm", "taylor", "hessian", "random"]
_NEED_LABELS = ("taylor", "hessian")  # importances that are computed from gradients of the loss


class PruneChannels:
    """Prune the least important channels, from all layers that depend on them.

    Args:
        ratio: share of the channels to prune.
        macs: share of the MACs that may remain.
        latency: share of the latency in eager PyTorch that may remain.
        importance: the score by which channels are chosen.
        scope: prune the same share of each group of layers, or rank all channels together.
        round_to: the number of channels that remain in a group is a multiple of it.
        skip: globs of module paths whose channels are not pruned.
    """

    quantizes: Quantizes | None = None
    strength: Strength | None = Strength("ratio", 0.0, 0.95, excludes=("macs", "latency"))

    def __init__(
        self,
        ratio: UnitBelowOne | None,
        macs: OpenUnit | None,
        latency: OpenUnit | None,
        importance: Importance,
        scope: Literal["uniform", "global"],
        round_to: PositiveInt,
        skip: list[str],
    ) -> None:
        self.goals = {"ratio": ratio, "macs": macs, "latency": latency}
        self.criterion = PruningCriterion(importance, scope, round_to, skip)
        self.needs_labels = f"importance={importance}" if importance in _NEED_LABELS else ""

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Prune a copy, with a score that needs no samples.

        Raises:
            UserError: not exactly one goal is given, or the network can't be pruned.
        """
        goal = the_goal(self.goals)
        importance = self.criterion.importance
        importance = "l2" if importance in _NEED_LABELS else importance
        criterion = replace(self.criterion, importance=importance, scope="uniform")
        sample, inputs = info.example(2), ScoringInputs(seed=0)
        copy = deepcopy(network).eval()
        if goal.key == "macs":
            cost = partial(macs, sample=info.example(1))
            return prune_to_cost(copy, sample, goal.value, cost, "macs", criterion, inputs).network
        # A latency is measured in the run alone; half of the channels tell whether pruning works.
        ratio = goal.value if goal.key == "ratio" else 0.5
        return prune_channels(copy, sample, ratio, criterion, inputs)

    def stages(self, context: StepContext) -> list[Stage]:
        """Return one stage, which changes the network."""
        return [context.compress(self)]

    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        """Prune a copy of the network."""
        sample = step_inputs.sample
        labeled = step_inputs.labeled(self.needs_labels) if self.needs_labels else None
        inputs = ScoringInputs(step_inputs.seed, labeled)
        goal = the_goal(self.goals)
        if goal.key == "ratio":
            ratio = goal.value
            pruned = prune_channels(network, sample, ratio, self.criterion, inputs)
        else:
            cost = step_inputs.macs if goal.key == "macs" else step_inputs.latency
            pruned, ratio = prune_to_cost(
                network, sample, goal.value, cost, goal.key, self.criterion, inputs
            )
        remaining = step_inputs.macs(pruned) / step_inputs.macs(network)
        notes = [f"{ratio:.1%} of the channels are pruned, {remaining:.1%} of the MACs remain"]
        change = {"name": "channels", **make_channel_plan(network, pruned)}
        return CompressionResult(pruned, [change], notes)
