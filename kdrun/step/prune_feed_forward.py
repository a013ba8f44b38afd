"""The step that removes units of the feed-forward parts of a transformer encoder."""

from typing import Any, Literal

from torch import nn

from kdrun.compress.encoder_layers import feed_forward_parts
from kdrun.compress.feed_forward import (
    feed_forward_structure,
    prune_units,
    unit_magnitude,
    unit_taylor,
)
from kdrun.compress.step_inputs import StepInputs
from kdrun.compress.structure_changes import FEED_FORWARD, Change, CompressionResult
from kdrun.core.errors import UserError
from kdrun.core.inputs.text import TextInputs
from kdrun.core.ranges import OpenUnit
from kdrun.core.types import DataInfo
from kdrun.stage.base import Stage
from kdrun.step.context import Quantizes, StepContext
from kdrun.step.strength import Strength


class PruneFeedForward:
    """Remove units of the feed-forward part of each layer of a transformer encoder of texts.

    Args:
        ratio: share of the units that is removed, the same in each layer.
        importance: how units are scored; those with the lowest scores are removed.
    """

    quantizes: Quantizes | None = None
    strength: Strength | None = Strength("ratio", 0.1, 0.9, ())

    def __init__(self, ratio: OpenUnit, importance: Literal["magnitude", "taylor"]) -> None:
        self.ratio = ratio
        self.importance = importance

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Build the structure of the pruned network.

        Raises:
            UserError: the data are no texts, or the network has no such parts.
        """
        if not isinstance(info.inputs, TextInputs):
            raise UserError(f"prune_feed_forward is for texts, and the dataset has {info.inputs}.")
        return feed_forward_structure(network, self._kept(_units(network)))

    def stages(self, context: StepContext) -> list[Stage]:
        """Return one stage, which changes the network."""
        return [context.compress(self)]

    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        """Keep the units with the highest scores."""
        parts, before = feed_forward_parts(network), _units(network)
        if self.importance == "taylor":
            batches = step_inputs.labeled("prune_feed_forward.importance=taylor")
            scores = unit_taylor(network, parts, batches)
        else:
            scores = unit_magnitude(network, parts)
        units = self._kept(before)
        prune_units(network, scores, units)
        change: Change = {"name": FEED_FORWARD, "units": units}
        return CompressionResult(
            network, [change], [f"{units:,} of {before:,} units of each feed-forward part are kept"]
        )

    def _kept(self, units: int) -> int:
        return max(1, round(units * (1 - self.ratio)))


def _units(network: nn.Module) -> int:
    incoming: Any = network.get_submodule(feed_forward_parts(network)[0].incoming)
    return incoming.out_features
