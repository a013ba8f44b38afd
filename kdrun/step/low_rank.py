"""Layers become two smaller ones in a row."""

from copy import deepcopy
from functools import partial

import torch
from torch import nn

from kdrun.compress.apply_step import Changed
from kdrun.compress.low_rank import (
    factorize,
    ranks_of_energy,
    ranks_of_macs,
    ranks_of_share,
    reshape,
    separable,
    spectra,
)
from kdrun.compress.step_inputs import StepInputs
from kdrun.core.errors import UserError
from kdrun.core.ranges import UnitAboveZero
from kdrun.core.types import DataInfo
from kdrun.measure.cost import macs
from kdrun.stage.base import Stage
from kdrun.step.base import Before, Rounds


class LowRank:
    """Take layers apart by their singular values.

    Args:
        energy: the share of each layer's squared singular values that is kept.
        rank: the share of each layer's full rank that is kept.
        macs: the share of the network's MACs that may remain.
        layers: a glob of module paths.
    """

    rounds: Rounds = ""

    def __init__(
        self,
        energy: UnitAboveZero | None,
        rank: UnitAboveZero | None,
        macs: UnitAboveZero | None,
        layers: str,
    ) -> None:
        self.energy, self.rank, self.macs, self.layers = energy, rank, macs, layers

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Look for the layers, whether one goal is given, and whether the network runs then.

        Raises:
            UserError: none or several are, no layer has such a path, or it does not.
        """
        goals = {"energy": self.energy, "rank": self.rank, "macs": self.macs}
        given = [key for key, value in goals.items() if value is not None]
        if len(given) != 1:
            raise UserError(
                f"one of energy, rank and macs says how far, and {len(given) or 'none'} are given.",
                "  all but one are null, e.g. energy=null",
            )
        parts = separable(network, self.layers)
        shape = (info.channels, *info.image_size)
        if self.macs is not None:
            cost = partial(macs, input_shape=shape, device=torch.device("cpu"))
            ranks_of_macs(network, spectra(network, self.layers), self.macs, cost)
        try:
            smallest = reshape(deepcopy(network).eval(), dict.fromkeys(parts, 1))
            with torch.no_grad():
                smallest(torch.zeros(2, *shape))
        except Exception as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise UserError(
                f"the network does not run with layers taken apart: {reason}.",
                "  it uses the weights of a layer otherwise than by calling it; name others:"
                " layers=GLOB",
            ) from error
        return network

    def stages(self, before: Before) -> list[Stage]:
        """One stage, in which the network is changed."""
        return [before.changed_by(self)]

    def apply(self, network: nn.Module, material: StepInputs) -> Changed:
        """Take the layers apart that have fewer weights so."""
        known = spectra(network, self.layers)
        if self.energy is not None:
            ranks = ranks_of_energy(known, self.energy)
        elif self.rank is not None:
            ranks = ranks_of_share(known, self.rank)
        else:
            ranks = ranks_of_macs(network, known, self.macs or 1.0, material.macs)
        factorize(network, ranks)
        notes = [f"{len(ranks)} of {len(known)} layers are two in a row now"]
        return Changed(network, [{"name": "low_rank", "ranks": ranks}] if ranks else [], notes)
