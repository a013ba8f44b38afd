"""The steps that prune heads, feed-forward units and layers of transformer encoders."""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from kdrun.compress.encoder_layers import (
    encoder_layers,
    head_width,
    heads_structure,
    keep_heads,
    keep_layers,
    keep_units,
    layer_list_path,
    units_structure,
)
from kdrun.compress.encoder_scores import (
    Scores,
    head_magnitudes,
    head_sensitivities,
    layer_influences,
    unit_magnitudes,
    unit_sensitivities,
)
from kdrun.compress.step_inputs import StepInputs
from kdrun.compress.structure_changes import HEADS, LAYERS, UNITS, CompressionResult
from kdrun.core.errors import UserError
from kdrun.core.inputs.padding import without_padding
from kdrun.core.ranges import UnitBelowOne
from kdrun.core.types import DataInfo
from kdrun.stage.base import Stage
from kdrun.step.context import Quantizes, StepContext
from kdrun.step.strength import Strength

Importance = Literal["magnitude", "taylor"]


class PruneHeads:
    """Prune attention heads of a transformer encoder, equally many in each layer.

    Args:
        ratio: share of the heads that are removed; one always stays.
        importance: which heads stay: those with the largest weights (`magnitude`), or without which
            the loss changes most (`taylor`).
    """

    quantizes: Quantizes | None = None
    strength: Strength | None = Strength("ratio", 0.0, 0.9, ())

    def __init__(self, ratio: UnitBelowOne, importance: Importance) -> None:
        self.ratio, self.importance = ratio, importance
        self.needs_labels = _needs_labels(importance)

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Build the structure of the pruned network.

        Raises:
            UserError: the network is no transformer encoder whose heads can be pruned.
        """
        return heads_structure(network, _kept(_heads(network), self.ratio))

    def stages(self, context: StepContext) -> list[Stage]:
        """Return one stage, which changes the network."""
        return [context.compress(self)]

    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        """Remove the heads with the lowest scores from each layer."""
        count = _kept(_heads(network), self.ratio)
        scores = _scores(self, network, step_inputs, head_magnitudes, head_sensitivities)
        note = f"{count} of {_heads(network)} heads stay in each layer"
        keep_heads(network, _highest(scores, count))
        return CompressionResult(network, [{"name": HEADS, "heads": count}], [note])


class PruneFeedForward:
    """Prune the feed-forward units of a transformer encoder, equally many in each layer.

    Args:
        ratio: share of the units that are removed; one always stays.
        importance: as in `PruneHeads`.
    """

    quantizes: Quantizes | None = None
    strength: Strength | None = Strength("ratio", 0.0, 0.9, ())

    def __init__(self, ratio: UnitBelowOne, importance: Importance) -> None:
        self.ratio, self.importance = ratio, importance
        self.needs_labels = _needs_labels(importance)

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Build the structure of the pruned network.

        Raises:
            UserError: the network is no transformer encoder.
        """
        return units_structure(network, _kept(_units(network), self.ratio))

    def stages(self, context: StepContext) -> list[Stage]:
        """Return one stage, which changes the network."""
        return [context.compress(self)]

    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        """Remove the units with the lowest scores from each layer."""
        count = _kept(_units(network), self.ratio)
        scores = _scores(self, network, step_inputs, unit_magnitudes, unit_sensitivities)
        note = f"{count:,} of {_units(network):,} feed-forward units stay in each layer"
        keep_units(network, _highest(scores, count))
        return CompressionResult(network, [{"name": UNITS, "units": count}], [note])


class PruneLayers:
    """Prune layers of a transformer encoder.

    Args:
        keep: how many layers stay.
        which: which layers are removed: those at the `top`, every other one (`alternate`), or those
            that change their inputs least (`influence`).
        layers: numbers of the layers that stay, from 0; None: as `keep` and `which` say.
    """

    quantizes: Quantizes | None = None
    strength: Strength | None = None

    def __init__(
        self,
        keep: PositiveInt,
        which: Literal["top", "alternate", "influence"],
        layers: list[NonNegativeInt] | None,
    ) -> None:
        self.keep, self.which, self.layers = keep, which, layers

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Build the structure of the pruned network.

        Raises:
            UserError: the network is no transformer encoder, or has no such layers.
        """
        depth = len(encoder_layers(network))
        numbers = self.layers if self.layers is not None else list(range(self.keep))
        if not numbers or numbers != sorted({*numbers} & {*range(depth)}):
            raise UserError(
                f"the network has the layers 0 to {depth - 1}; {numbers} can't stay.",
                "  name some of them, each once and in their order: keep=3, or layers=[0,2,5]",
            )
        return keep_layers(network, numbers)

    def stages(self, context: StepContext) -> list[Stage]:
        """Return one stage, which changes the network."""
        return [context.compress(self)]

    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        """Remove layers; the others keep their order."""
        layers = self.layers if self.layers is not None else self._chosen(network, step_inputs)
        note = f"the layers {', '.join(map(str, layers))} of {len(encoder_layers(network))} stay"
        keep_layers(network, layers)
        return CompressionResult(network, [{"name": LAYERS, "layers": layers}], [note])

    def _chosen(self, network: nn.Module, step_inputs: StepInputs) -> list[int]:
        depth = len(encoder_layers(network))
        if self.which == "top":
            return list(range(self.keep))
        if self.which == "alternate":
            return [number * depth // self.keep for number in range(self.keep)]
        stack: Any = network.get_submodule(layer_list_path(network))
        batches = [part for inputs, _ in step_inputs.batches for part in without_padding(inputs)]
        (kept,) = _highest([layer_influences(network, batches, stack)], self.keep)
        numbers: list[int] = kept.tolist()
        return numbers


def _needs_labels(importance: Importance) -> str:
    return "importance=taylor" if importance == "taylor" else ""


def _kept(count: int, ratio: float) -> int:
    return max(1, round(count * (1 - ratio)))


def _heads(network: nn.Module) -> int:
    layer = encoder_layers(network)[0]
    query: Any = network.get_submodule(layer.query)
    heads: int = query.out_features // head_width(network, layer)
    return heads


def _units(network: nn.Module) -> int:
    widen: Any = network.get_submodule(encoder_layers(network)[0].widen)
    units: int = widen.out_features
    return units


def _scores(
    step: PruneHeads | PruneFeedForward,
    network: nn.Module,
    step_inputs: StepInputs,
    magnitude: Callable[[nn.Module], Scores],
    taylor: Callable[..., Scores],
) -> Scores:
    if step.importance == "magnitude":
        return magnitude(network)
    return taylor(network, step_inputs.labeled(step.needs_labels))


def _highest(scores: Scores, count: int) -> list[Tensor]:
    """Return the numbers of the highest scores of each layer, in ascending order."""
    return [each.topk(count).indices.sort().values for each in scores]
