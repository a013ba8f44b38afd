"""Whole channels go."""

from copy import deepcopy
from functools import partial
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import nn

from kdrun.compress.apply_step import Changed
from kdrun.compress.channels.importance import Evidence
from kdrun.compress.channels.plan import plan_of
from kdrun.compress.channels.prune import Choice, prune_channels, prune_to_cost
from kdrun.compress.step_inputs import StepInputs
from kdrun.core.errors import UserError
from kdrun.core.ranges import OpenUnit, UnitBelowOne
from kdrun.core.types import DataInfo
from kdrun.measure.cost import macs
from kdrun.stage.base import Stage
from kdrun.step.base import Before, Rounds

Importance = Literal["l1", "l2", "bn_scale", "fpgm", "taylor", "hessian", "random"]
_LEARNED = ("taylor", "hessian")  # these look at gradients, and so at labels


class PruneChannels:
    """Take the least important channels out, with all that depends on them.

    Args:
        ratio: the share of channels that go.
        macs: the share of MACs that may remain.
        latency: the share of latency that may remain, in eager PyTorch.
        importance: by which score.
        scope: the same share of each group of layers, or of all together.
        round_to: the channels that stay in a group are a multiple of it.
        skip: globs of module paths whose channels all stay.
    """

    rounds: Rounds = ""

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
        self.ratio, self.macs, self.latency = ratio, macs, latency
        self.choice = Choice(importance, scope, round_to, skip)

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Take channels out of a copy, by a score that needs no samples.

        Raises:
            UserError: none or several goals are given, or the network can't be pruned so.
        """
        goals = {"ratio": self.ratio, "macs": self.macs, "latency": self.latency}
        given = [key for key, value in goals.items() if value is not None]
        if len(given) != 1:
            raise UserError(
                f"one of ratio, macs and latency says how far, and {len(given) or 'none'} are"
                " given.",
                "  all but one are null, e.g. ratio=null",
            )
        score = "l2" if self.choice.importance in _LEARNED else self.choice.importance
        choice = Choice(score, "uniform", self.choice.round_to, self.choice.skip)
        sample = torch.zeros(2, info.channels, *info.image_size)
        whole = deepcopy(network).eval()
        if self.macs is not None:
            shape = (info.channels, *info.image_size)
            cost = partial(macs, input_shape=shape, device=torch.device("cpu"))
            return prune_to_cost(whole, sample, self.macs, cost, "macs", choice, Evidence(0))[0]
        return prune_channels(whole, sample, self.ratio or 0.5, choice, Evidence(0))

    def stages(self, before: Before) -> list[Stage]:
        """One stage, in which the network is changed."""
        return [before.changed_by(self)]

    def apply(self, network: nn.Module, material: StepInputs) -> Changed:
        """Prune a copy."""
        sample, score = material.sample, self.choice.importance
        labeled = material.labeled(f"importance={score}") if score in _LEARNED else None
        evidence = Evidence(material.seed, labeled)
        if self.ratio is not None:
            pruned = prune_channels(network, sample, self.ratio, self.choice, evidence)
            ratio = self.ratio
        else:
            share = self.macs if self.macs is not None else self.latency
            assert share is not None
            of = "macs" if self.macs is not None else "latency"
            cost = material.macs if of == "macs" else material.latency
            pruned, ratio = prune_to_cost(network, sample, share, cost, of, self.choice, evidence)
        left = material.macs(pruned) / material.macs(network)
        notes = [f"{ratio:.1%} of the channels are gone, {left:.1%} of the MACs remain"]
        return Changed(pruned, [{"name": "channels", **plan_of(network, pruned)}], notes)
