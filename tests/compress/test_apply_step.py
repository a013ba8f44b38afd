"""Steps in a row: quantization stays last, and pruned weights stay known."""

import pytest
import torch
from torch import nn

from kdrun.compress.apply_step import Changed, change
from kdrun.compress.calibrators import Grid, MinMax
from kdrun.compress.low_rank import factorize
from kdrun.compress.masks import apply_masks, layer_masks, prunable
from kdrun.compress.quantize.dynamic import store_dynamic
from kdrun.compress.quantize.requantize import static
from kdrun.compress.quantize.weight_only import store_weights
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.compress.step_inputs import StepInputs
from kdrun.compress.structure_changes import rebuild, zeros, zeros_of
from kdrun.compress.weight_scores import magnitude


def build(changes=()) -> nn.Module:
    layers = nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)
    return rebuild(nn.Sequential(*layers), changes)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return build().eval()


@pytest.fixture
def material() -> StepInputs:
    torch.manual_seed(1)
    batches = [(torch.randn(16, 12), torch.randint(0, 4, (16,))) for _ in range(3)]
    return StepInputs(batches, MinMax(), 0, lambda network: 1, lambda network: 1.0)


class Prune:
    def apply(self, network: nn.Module, material: StepInputs) -> Changed:
        masks = layer_masks(magnitude(prunable(network)), 0.5)
        apply_masks(network, masks)
        return Changed(network, [zeros(list(masks))], ["pruned"])


class Factorize:
    def apply(self, network: nn.Module, material: StepInputs) -> Changed:
        factorize(network, {"2": 3})
        return Changed(network, [{"name": "low_rank", "ranks": {"2": 3}}])


class Static:
    def apply(self, network: nn.Module, material: StepInputs) -> Changed:
        made = static(network, material, Grid(8, False), WeightGrid.of(8, True, True))
        return Changed(made.network, [made.change])


class Weights:
    def __init__(self, layers: str = "*") -> None:
        self.layers = layers

    def apply(self, network: nn.Module, material: StepInputs) -> Changed:
        made = store_weights(network, 4, 8, self.layers)
        return Changed(made.network, [made.change])


class Dynamic:
    def __init__(self, layers: str = "*") -> None:
        self.layers = layers

    def apply(self, network: nn.Module, material: StepInputs) -> Changed:
        made = store_dynamic(network, self.layers)
        return Changed(made.network, [made.change])


def done(network: nn.Module, material: StepInputs, *steps: object) -> Changed:
    made = Changed(network)
    for step in steps:
        made = change(step, made.network, made.changes, build, material)
    return made


def names(made: Changed) -> list[str]:
    return [one["name"] for one in made.changes]


@pytest.mark.parametrize(
    ("rounding", "name"),
    [(Static, "quantize"), (Weights, "quantize_weights"), (Dynamic, "quantize_dynamic")],
)
def test_quantization_stays_last_and_is_done_again(network, material, rounding, name):
    made = done(network, material, rounding(), Factorize(), Prune())
    assert names(made) == ["low_rank", "zeros", name]
    assert "what was rounded was rounded again" in made.notes
    again = build(made.changes)
    again.load_state_dict(made.network.state_dict(), strict=True)
    images = material.batches[0][0]
    assert again.eval()(images).equal(made.network.eval()(images))


@pytest.mark.parametrize("rounding", [Static, Weights, Dynamic])
def test_what_is_pruned_after_quantization_is_zero_in_whole_numbers(network, material, rounding):
    made = done(network, material, rounding(), Prune())
    for path in ("0", "2", "4"):
        weight = made.network.get_submodule(path).weight
        assert int((weight == 0).sum()) >= weight.numel() // 2


def test_a_step_after_quantization_works_on_what_the_numbers_stand_for(network, material):
    rounded = done(network, material, Static())
    seen = {}

    class Look:
        def apply(self, network: nn.Module, material: StepInputs) -> Changed:
            seen.update({name: value.clone() for name, value in network.state_dict().items()})
            return Changed(network)

    change(Look(), rounded.network, rounded.changes, build, material)
    for path in ("0", "2", "4"):
        layer = rounded.network.get_submodule(path)
        assert seen[f"{path}.weight"].equal(layer.weight)
        assert seen[f"{path}.bias"].equal(layer.bias)


def test_quantizing_a_network_once_more_takes_the_place_of_the_first_time(network, material):
    assert names(done(network, material, Static(), Static())) == ["quantize"]
    assert names(done(network, material, Static(), Weights())) == ["quantize_weights"]


def test_layers_that_a_later_step_does_not_round_stay_rounded(network, material):
    made = done(network, material, Weights("0"), Weights("2"), Dynamic())
    assert names(made) == ["quantize_dynamic"]
    made = done(network, material, Weights("0"), Weights("2"), Dynamic("4"))
    kinds = [type(made.network.get_submodule(path)).__name__ for path in ("0", "2", "4")]
    assert kinds == ["WeightOnly", "WeightOnly", "Dynamic"]
    again = build(made.changes)
    again.load_state_dict(made.network.state_dict(), strict=True)
    images = material.batches[0][0]
    assert again.eval()(images).equal(made.network.eval()(images))


def test_only_layers_that_were_rounded_are_rounded_again(network, material):
    made = done(network, material, Weights("2"), Factorize(), Prune())
    (rounded,) = (one for one in made.changes if one["name"] == "quantize_weights")
    assert rounded["layers"] == ["2.0", "2.1"]
    assert made.network.get_submodule("0").weight.is_floating_point()


def test_modules_that_answer_nothing_are_left_as_they_are(material):
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(12, 4), nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    def own(changes=()) -> nn.Module:
        return rebuild(Unused(), changes)

    made = Changed(own().eval())
    for step in (Static(), Prune()):
        made = change(step, made.network, made.changes, own, material)
    assert "quantize" in names(made)


def test_layers_that_are_gone_are_not_asked_for_zeros(network, material):
    made = done(network, material, Prune(), Factorize())
    assert names(made) == ["zeros", "low_rank"]
    assert zeros_of(made.changes) == ["0.weight", "4.weight"]
    assert "zeros of 1 pruned layers are gone: these layers are others now" in made.notes


def test_zeros_are_remembered_through_quantization(network, material):
    made = done(network, material, Prune(), Static())
    assert zeros_of(made.changes) == ["0.weight", "2.weight", "4.weight"]
