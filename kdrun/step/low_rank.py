"""The step that factorizes layers: each becomes two smaller ones in sequence."""

from copy import deepcopy
from functools import partial

import torch
from torch import nn

from kdrun.compress.low_rank import factorizable, factorize, low_rank_structure
from kdrun.compress.rank_selection import (
    ranks_of_energy,
    ranks_of_macs,
    ranks_of_share,
    singular_values,
)
from kdrun.compress.step_inputs import StepInputs
from kdrun.compress.structure_changes import CompressionResult
from kdrun.core.errors import UserError, first_line
from kdrun.core.ranges import UnitAboveZero
from kdrun.core.types import DataInfo
from kdrun.measure.cost import macs
from kdrun.stage.base import Stage
from kdrun.step.context import Quantizes, StepContext
from kdrun.step.strength import Strength, the_goal


class LowRank:
    """Factorize linear layers, convolutions and embeddings by their singular values.

    Args:
        energy: share of each layer's squared singular values to keep.
        rank: share of each layer's full rank to keep.
        macs: share of the network's MACs that may remain.
        layers: a glob of module paths.
    """

    quantizes: Quantizes | None = None
    strength: Strength | None = Strength("energy", 1.0, 0.1, excludes=("rank", "macs"))

    def __init__(
        self,
        energy: UnitAboveZero | None,
        rank: UnitAboveZero | None,
        macs: UnitAboveZero | None,
        layers: str,
    ) -> None:
        self.goals, self.layers = {"energy": energy, "rank": rank, "macs": macs}, layers

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Check that one goal is given, layers match the glob, and the factorized network runs.

        Raises:
            UserError: one of these conditions is not met.
        """
        goal = the_goal(self.goals)
        layers = factorizable(network, self.layers)
        if goal.key == "macs":
            cost = partial(macs, sample=info.example(1))
            ranks_of_macs(network, singular_values(network, self.layers), goal.value, cost)
        try:
            smallest = low_rank_structure(deepcopy(network).eval(), dict.fromkeys(layers, 1))
            with torch.no_grad():
                smallest(info.example(2))
        except Exception as error:
            raise UserError(
                f"the network does not run with factorized layers: {first_line(error)}.",
                "  it uses the weights of a layer without calling the layer; leave that layer out:"
                " layers=GLOB",
            ) from error
        return network

    def stages(self, context: StepContext) -> list[Stage]:
        """Return one stage, which changes the network."""
        return [context.compress(self)]

    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        """Factorize the layers that will have fewer weights."""
        values = singular_values(network, self.layers)
        goal = the_goal(self.goals)
        if goal.key == "energy":
            ranks = ranks_of_energy(values, goal.value)
        elif goal.key == "rank":
            ranks = ranks_of_share(values, goal.value)
        else:
            ranks = ranks_of_macs(network, values, goal.value, step_inputs.macs)
        factorize(network, ranks)
        changes = [{"name": "low_rank", "ranks": ranks}] if ranks else []
        notes = [f"{len(ranks)} of {len(values)} layers are replaced by two each"]
        return CompressionResult(network, changes, notes)
