"""Weights, and activations, as whole numbers of a few bits."""

from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from kdrun.compress.apply_step import Changed
from kdrun.compress.calibrators import Grid
from kdrun.compress.fold_batch_norm import fold, pairs
from kdrun.compress.quantize.dynamic import store_dynamic
from kdrun.compress.quantize.quantization_plan import quantizable
from kdrun.compress.quantize.requantize import static
from kdrun.compress.quantize.static import quantize
from kdrun.compress.quantize.trainable import trainable
from kdrun.compress.quantize.weight_only import store_weights
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.compress.step_inputs import StepInputs
from kdrun.core.errors import UserError
from kdrun.core.types import DataInfo
from kdrun.stage.base import Stage
from kdrun.step.base import Before, Rounds

Bits = Annotated[int, Field(ge=2, le=8)]
Ranges = Literal["affine", "symmetric"]


class QuantizeStatic:
    """Round weights and activations; the ranges of activations are calibrated.

    Args:
        bits: of each number.
        activations: whether 0 is the middle of their range.
        weights: the same of theirs.
        per_channel: whether each output channel's weights have a scale of their own.
    """

    rounds: Rounds = "network"

    def __init__(self, bits: Bits, activations: Ranges, weights: Ranges, per_channel: bool) -> None:
        self.activations = Grid(bits, symmetric=activations == "symmetric")
        self.weights = WeightGrid.of(bits, weights == "symmetric", per_channel)

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Follow the network's graph.

        Raises:
            UserError: it can't be followed, or nothing of it can be quantized.
        """
        folded = fold(network.eval())
        plan = quantizable(folded)
        how = {**asdict(self.weights.grid), "per_channel": self.weights.per_channel}
        made = quantize(folded, plan.layers, plan.after, asdict(self.activations), how)
        return trainable(made)

    def stages(self, before: Before) -> list[Stage]:
        """One stage, in which the network is changed."""
        return [before.changed_by(self)]

    def apply(self, network: nn.Module, material: StepInputs) -> Changed:
        """Fold norms, look at samples, round."""
        folded = [{"name": "fold"}] if pairs(network) else []
        made = static(fold(network), material, self.activations, self.weights)
        return Changed(made.network, [*folded, made.change], made.notes, made.ranges)


class QAT:
    """Quantize, then learn on with rounded weights and activations.

    Args:
        bits: as of `QuantizeStatic`.
        activations: as there.
        weights: as there.
        per_channel: as there.
        teacher: the model before all steps, in float, or the run's teacher.
        loss: the node of the loss.
        lr_share: of the recipe's learning rate.
        recipe: keys that differ from the run's recipe.
    """

    rounds: Rounds = "network"

    def __init__(
        self,
        bits: Bits,
        activations: Ranges,
        weights: Ranges,
        per_channel: bool,
        teacher: Literal["origin", "teacher"],
        loss: dict[str, Any],
        lr_share: PositiveFloat,
        recipe: dict[str, Any] | None,
    ) -> None:
        self.quantized = QuantizeStatic(bits, activations, weights, per_channel)
        self.teacher, self.loss, self.lr_share, self.recipe = teacher, loss, lr_share, recipe

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """As static quantization."""
        return self.quantized.check(network, info)

    def stages(self, before: Before) -> list[Stage]:
        """Quantization, which is not shown, and the training that starts from it.

        Raises:
            UserError: there is no teacher.
        """
        info = before.info
        start = replace(info, name=f"{info.name}-start", folder=f"{info.folder}-start", label="")
        rounded = replace(before, info=replace(start, baseline="")).changed_by(self.quantized)
        teacher = before.origin if self.teacher == "origin" else before.teacher
        if teacher is None:
            raise UserError(
                "there is no teacher to learn from: this scheme has none.", "  take teacher=origin"
            )
        learning = replace(
            before,
            info=replace(info, reads=(start.name,)),
            stage=rounded,
        )
        recipe = before.recipe(self.lr_share, self.recipe)
        return [rounded, learning.taught_by(teacher, self.loss, recipe)]


class QuantizeDynamic:
    """Round the weights of linear layers, and their inputs on the fly.

    Args:
        layers: a glob of module paths.
    """

    rounds: Rounds = "layers"

    def __init__(self, layers: str) -> None:
        self.layers = layers

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Look for the layers.

        Raises:
            UserError: there is none.
        """
        return store_dynamic(network, self.layers).network

    def stages(self, before: Before) -> list[Stage]:
        """One stage, in which the network is changed."""
        return [before.changed_by(self)]

    def apply(self, network: nn.Module, material: StepInputs) -> Changed:
        """Round the weights."""
        made = store_dynamic(network, self.layers)
        return Changed(made.network, [made.change], made.notes)


class QuantizeWeights:
    """Round weights alone.

    Args:
        bits: 8 or 4.
        group: weights of an output that share a scale; None for all of them.
        layers: a glob of module paths.
    """

    rounds: Rounds = "layers"

    def __init__(self, bits: Literal[8, 4], group: PositiveInt | None, layers: str) -> None:
        self.bits, self.group, self.layers = bits, group, layers

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Look for the layers.

        Raises:
            UserError: there is none.
        """
        return store_weights(network, self.bits, self.group, self.layers).network

    def stages(self, before: Before) -> list[Stage]:
        """One stage, in which the network is changed."""
        return [before.changed_by(self)]

    def apply(self, network: nn.Module, material: StepInputs) -> Changed:
        """Round the weights."""
        made = store_weights(network, self.bits, self.group, self.layers)
        return Changed(made.network, [made.change], made.notes)
