"""The steps that quantize weights, or weights and activations, to integers of a few bits."""

from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from kdrun.compress.fold_batch_norm import fold_batch_norms, foldable_pairs
from kdrun.compress.quantization_grid import QuantizationGrid
from kdrun.compress.quantize.dynamic import quantize_dynamic
from kdrun.compress.quantize.quantization_plan import plan_quantization
from kdrun.compress.quantize.requantize import quantize_static
from kdrun.compress.quantize.static import static_structure
from kdrun.compress.quantize.trainable import to_trainable
from kdrun.compress.quantize.weight_only import quantize_weights
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.compress.step_inputs import StepInputs
from kdrun.compress.structure_changes import CompressionResult
from kdrun.core.errors import UserError
from kdrun.core.types import DataInfo
from kdrun.stage.base import Stage
from kdrun.step.context import Quantizes, StepContext
from kdrun.step.strength import Strength

Bits = Annotated[int, Field(ge=2, le=8)]
GridKind = Literal["affine", "symmetric"]


class QuantizeStatic:
    """Quantize weights and activations, with calibrated ranges of activations.

    Args:
        bits: bits of each integer.
        activations: grid of activations; symmetric ones have a zero point of 0.
        weights: grid of weights.
        per_channel: whether the weights of each output channel have their own scale.
    """

    quantizes: Quantizes | None = "network"
    strength: Strength | None = None

    def __init__(
        self, bits: Bits, activations: GridKind, weights: GridKind, per_channel: bool
    ) -> None:
        self.activations = QuantizationGrid(bits, symmetric=activations == "symmetric")
        self.weights = WeightGrid.of(bits, weights == "symmetric", per_channel)

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Trace the network and build the structure of the quantized one.

        Raises:
            UserError: the network can't be traced, or no layer of it can be quantized.
        """
        folded = fold_batch_norms(network.eval())
        plan = plan_quantization(folded)
        grids = asdict(self.activations), self.weights.arguments
        return to_trainable(static_structure(folded, plan.layers, plan.rounded, *grids))

    def stages(self, context: StepContext) -> list[Stage]:
        """Return one stage, which changes the network."""
        return [context.compress(self)]

    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        """Fold batch norms, calibrate ranges, and quantize."""
        fold_changes = [{"name": "fold"}] if foldable_pairs(network) else []
        folded = fold_batch_norms(network)
        result = quantize_static(folded, step_inputs, self.activations, self.weights)
        return replace(result, changes=[*fold_changes, *result.changes])


class QAT:
    """Quantization-aware training: quantize statically, then train with rounding.

    Args:
        bits: as in `QuantizeStatic`.
        activations: as in `QuantizeStatic`.
        weights: as in `QuantizeStatic`.
        per_channel: as in `QuantizeStatic`.
        teacher: `origin`, the model before all steps, in float; or `teacher`, the run's teacher.
        loss: config node of the loss.
        lr_share: factor of the recipe's learning rate.
        recipe: keys that differ from the run's recipe.
    """

    quantizes: Quantizes | None = "network"
    strength: Strength | None = None

    def __init__(
        self,
        bits: Bits,
        activations: GridKind,
        weights: GridKind,
        per_channel: bool,
        teacher: Literal["origin", "teacher"],
        loss: dict[str, Any],
        lr_share: PositiveFloat,
        recipe: dict[str, Any] | None,
    ) -> None:
        self.static = QuantizeStatic(bits, activations, weights, per_channel)
        self.teacher, self.loss, self.lr_share, self.recipe = teacher, loss, lr_share, recipe

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Check as `QuantizeStatic` does."""
        return self.static.check(network, info)

    def stages(self, context: StepContext) -> list[Stage]:
        """Return a stage that quantizes, whose model is not shown, and one that trains it.

        Raises:
            UserError: there is no teacher.
        """
        info = context.info
        name, folder = f"{info.name}-start", f"{info.folder}-start"
        start_info = replace(info, name=name, folder=folder, label="", baseline="")
        start = replace(context, info=start_info).compress(self.static)
        teacher = context.origin if self.teacher == "origin" else context.teacher
        if teacher is None:
            raise UserError(
                "there is no teacher to learn from: this scheme has none.", "  take teacher=origin"
            )
        training = replace(context, info=replace(info, reads=(name,)), previous=start)
        recipe = context.recipe(self.lr_share, self.recipe)
        return [start, training.distill_from(teacher, self.loss, recipe)]


class QuantizeDynamic:
    """Quantize the weights of linear layers now, and their inputs in each forward pass.

    Args:
        layers: a glob of module paths.
    """

    quantizes: Quantizes | None = "layers"
    strength: Strength | None = None

    def __init__(self, layers: str) -> None:
        self.layers = layers

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Quantize the untrained network.

        Raises:
            UserError: no linear layer matches the glob.
        """
        return quantize_dynamic(network, self.layers).network

    def stages(self, context: StepContext) -> list[Stage]:
        """Return one stage, which changes the network."""
        return [context.compress(self)]

    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        """Quantize the weights."""
        return quantize_dynamic(network, self.layers)


class QuantizeWeights:
    """Quantize weights only; activations stay in float.

    Args:
        bits: 8 or 4.
        group: how many weights of an output share a scale; None if all do.
        layers: a glob of module paths.
    """

    quantizes: Quantizes | None = "layers"
    strength: Strength | None = None

    def __init__(self, bits: Literal[8, 4], group: PositiveInt | None, layers: str) -> None:
        self.bits, self.group, self.layers = bits, group, layers

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Quantize the untrained network.

        Raises:
            UserError: no layer matches the glob.
        """
        return quantize_weights(network, self.bits, self.group, self.layers).network

    def stages(self, context: StepContext) -> list[Stage]:
        """Return one stage, which changes the network."""
        return [context.compress(self)]

    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        """Quantize the weights."""
        return quantize_weights(network, self.bits, self.group, self.layers)
