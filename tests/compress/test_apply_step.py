"""Several steps in sequence: quantization stays last, and pruned weights stay recorded."""

import pytest
import torch
from torch import nn

from kdrun.compress.apply_step import apply_step
from kdrun.compress.calibrators import MinMax
from kdrun.compress.low_rank import factorize
from kdrun.compress.masks import apply_masks, layer_masks, prunable
from kdrun.compress.quantization_grid import QuantizationGrid
from kdrun.compress.quantize.dynamic import quantize_dynamic
from kdrun.compress.quantize.requantize import quantize_static
from kdrun.compress.quantize.weight_only import quantize_weights
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.compress.step_inputs import StepInputs, TokenUse
from kdrun.compress.structure_changes import (
    CompressionResult,
    rebuild,
    weights_with_zeros,
    zeros_change,
)
from kdrun.compress.weight_scores import magnitude


def no_tokens(encoding) -> TokenUse:
    """The inputs are images."""
    raise AssertionError


def build(changes=()) -> nn.Module:
    layers = nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)
    return rebuild(nn.Sequential(*layers), changes)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return build().eval()


@pytest.fixture
def step_inputs() -> StepInputs:
    torch.manual_seed(1)
    batches = [(torch.randn(16, 12), torch.randint(0, 4, (16,))) for _ in range(3)]
    return StepInputs(batches, MinMax(), 0, lambda network: 1, lambda network: 1.0, no_tokens)


class Prune:
    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        masks = layer_masks(magnitude(prunable(network)), 0.5)
        apply_masks(network, masks)
        return CompressionResult(network, [zeros_change(list(masks))], ["pruned"])


class Factorize:
    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        factorize(network, {"2": 3})
        return CompressionResult(network, [{"name": "low_rank", "ranks": {"2": 3}}])


class Static:
    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        return quantize_static(
            network, step_inputs, QuantizationGrid(8, False), WeightGrid.of(8, True, True)
        )


class Weights:
    def __init__(self, layers: str = "*") -> None:
        self.layers = layers

    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        return quantize_weights(network, 4, 8, self.layers)


class Dynamic:
    def __init__(self, layers: str = "*") -> None:
        self.layers = layers

    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        return quantize_dynamic(network, self.layers)


def done(network: nn.Module, step_inputs: StepInputs, *steps: object) -> CompressionResult:
    made = CompressionResult(network)
    for step in steps:
        made = apply_step(step, made.network, made.changes, build, step_inputs)
    return made


def names(made: CompressionResult) -> list[str]:
    return [one["name"] for one in made.changes]


@pytest.mark.parametrize(
    ("rounding", "name"),
    [(Static, "quantize"), (Weights, "quantize_weights"), (Dynamic, "quantize_dynamic")],
)
def test_quantization_stays_the_last_change_and_is_repeated(network, step_inputs, rounding, name):
    made = done(network, step_inputs, rounding(), Factorize(), Prune())
    assert names(made) == ["low_rank", "zeros", name]
    assert "the network was quantized again with the earlier settings" in made.notes
    again = build(made.changes)
    again.load_state_dict(made.network.state_dict(), strict=True)
    images = step_inputs.batches[0][0]
    assert again.eval()(images).equal(made.network.eval()(images))


@pytest.mark.parametrize("rounding", [Static, Weights, Dynamic])
def test_weights_pruned_after_quantization_are_zero_integers(network, step_inputs, rounding):
    made = done(network, step_inputs, rounding(), Prune())
    for path in ("0", "2", "4"):
        weight = made.network.get_submodule(path).weight
        assert int((weight == 0).sum()) >= weight.numel() // 2


def test_a_step_after_quantization_gets_dequantized_weights(network, step_inputs):
    rounded = done(network, step_inputs, Static())
    seen = {}

    class Look:
        def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
            seen.update({name: value.clone() for name, value in network.state_dict().items()})
            return CompressionResult(network)

    apply_step(Look(), rounded.network, rounded.changes, build, step_inputs)
    for path in ("0", "2", "4"):
        layer = rounded.network.get_submodule(path)
        assert seen[f"{path}.weight"].equal(layer.weight)
        assert seen[f"{path}.bias"].equal(layer.bias)


def test_a_second_quantization_replaces_the_first(network, step_inputs):
    assert names(done(network, step_inputs, Static(), Static())) == ["quantize"]
    assert names(done(network, step_inputs, Static(), Weights())) == ["quantize_weights"]


def test_layers_that_a_later_step_does_not_quantize_stay_quantized(network, step_inputs):
    made = done(network, step_inputs, Weights("0"), Weights("2"), Dynamic())
    assert names(made) == ["quantize_dynamic"]
    made = done(network, step_inputs, Weights("0"), Weights("2"), Dynamic("4"))
    kinds = [type(made.network.get_submodule(path)).__name__ for path in ("0", "2", "4")]
    assert kinds == ["WeightOnlyLayer", "WeightOnlyLayer", "DynamicLinear"]
    again = build(made.changes)
    again.load_state_dict(made.network.state_dict(), strict=True)
    images = step_inputs.batches[0][0]
    assert again.eval()(images).equal(made.network.eval()(images))


def test_only_layers_that_were_quantized_are_quantized_again(network, step_inputs):
    made = done(network, step_inputs, Weights("2"), Factorize(), Prune())
    (rounded,) = (one for one in made.changes if one["name"] == "quantize_weights")
    assert rounded["layers"] == ["2.0", "2.1"]
    assert made.network.get_submodule("0").weight.is_floating_point()


def test_a_network_with_unused_modules_can_be_changed_after_quantization(step_inputs):
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(12, 4), nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    def own(changes=()) -> nn.Module:
        return rebuild(Unused(), changes)

    made = CompressionResult(own().eval())
    for step in (Static(), Prune()):
        made = apply_step(step, made.network, made.changes, own, step_inputs)
    assert "quantize" in names(made)


def test_zeros_of_replaced_layers_are_dropped_with_a_note(network, step_inputs):
    made = done(network, step_inputs, Prune(), Factorize())
    assert names(made) == ["zeros", "low_rank"]
    assert weights_with_zeros(made.changes) == ["0.weight", "4.weight"]
    assert "1 pruned layers were replaced: their zeros are no longer kept" in made.notes


def test_zeros_stay_recorded_after_quantization(network, step_inputs):
    made = done(network, step_inputs, Prune(), Static())
    assert weights_with_zeros(made.changes) == ["0.weight", "2.weight", "4.weight"]
