"""Static quantization: the plan, the calibration, and rebuilding from the change."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from nets import ACTIVATIONS, NAMES, WEIGHTS, differ, folded, make, quantized, samples
from safetensors.torch import load, save
from torch import nn

from kdrun.compress.activation_statistics import ActivationStatistics
from kdrun.compress.calibrators import KLDivergence, MinMax, Percentile
from kdrun.compress.quantization_grid import QuantizationGrid, ValueRange, affine_map
from kdrun.compress.quantize.calibration import calibrate
from kdrun.compress.quantize.layers import Int8Layer
from kdrun.compress.quantize.quantization_plan import plan_quantization
from kdrun.compress.quantize.static import activation_quantizers, static_structure
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.core.errors import UserError
from kdrun.core.taps import TappedNetwork


def rebuilt(name: str) -> nn.Module:
    keys = dict(quantized(name).changes[0])
    assert keys.pop("name") == "quantize"
    return static_structure(folded(name), **keys)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_close_to_those_in_float(name):
    found = quantized(name).network(samples(8))
    assert differ(found, folded(name)(samples(8))) < 0.12
    assert not quantized(name).network.training


@pytest.mark.parametrize("name", NAMES)
def test_a_network_rebuilt_from_the_change_takes_saved_weights(name):
    weights = load(save(quantized(name).network.state_dict()))
    network = rebuilt(name)
    shapes = {key: (value.shape, value.dtype) for key, value in network.state_dict().items()}
    assert shapes == {key: (value.shape, value.dtype) for key, value in weights.items()}
    network.load_state_dict(weights)
    assert torch.equal(network(samples(4)), quantized(name).network(samples(4)))


@pytest.mark.parametrize("name", NAMES)
def test_each_weight_takes_a_byte(name):
    network = quantized(name).network
    layers = [one for one in network.modules() if isinstance(one, Int8Layer)]
    whole = sum(layer.values.numel() for layer in layers)
    assert {layer.values.dtype for layer in layers} == {torch.int8}
    others = sum(one.numel() for one in network.parameters())
    bytes_now = sum(value.nbytes for value in network.state_dict().values())
    channels = sum(layer.values.shape[0] for layer in layers)
    assert bytes_now <= whole + 4 * others + 8 * channels + 4 * (3 * len(layers) + 200) + 8 * 1000


def test_the_original_network_is_unchanged():
    network = make("shufflenet_v2").train()
    state = {key: value.clone() for key, value in network.state_dict().items()}
    before = {path: type(module) for path, module in network.named_modules()}
    made = calibrate(
        network, plan_quantization(network), [samples(4)], MinMax(), ACTIVATIONS, WEIGHTS
    ).network
    assert made.training
    assert before == {path: type(module) for path, module in network.named_modules()}
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key])


def test_activations_are_rounded_where_runtimes_expect_it():
    plan = plan_quantization(folded("resnet8"))
    assert plan.rounded[:4] == ("images", "relu", "layer1_0_relu1", "layer1_0_conv2")
    assert "add" not in plan.rounded  # the ReLU after it is
    assert plan.rounded[4] == "layer1_0_relu2"
    assert plan.rounded[-1] == "pool"  # and not the logits
    assert len(plan.layers) == 9 + 1
    assert plan.notes == ()


def test_notes_name_what_stays_in_float():
    (note,) = plan_quantization(folded("convnext")).notes
    assert note.startswith("stay in float: ")
    for word in ("layer_norm", "2 GELU", "2 mul", "2 add"):
        assert word in note
    (note,) = plan_quantization(folded("vit")).notes
    assert "2 MultiheadAttention" in note
    (note,) = plan_quantization(folded("wrn_16_1")).notes
    assert "7 BatchNorm2d" in note
    assert quantized("vit").notes[-1].startswith("36% of the weights stay in float, of which")
    assert quantized("resnet8").notes == ("ranges are chosen from 16 training samples",)


def test_a_network_without_quantizable_layers_is_refused():
    with pytest.raises(UserError, match="this network can't be quantized"):
        plan_quantization(nn.Sequential(nn.ReLU(), nn.LSTM(3, 3)))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.shared = nn.Linear(5, 5), nn.Linear(5, 5)

    def forward(self, x):
        return self.shared(self.shared(self.first(x)) * x.shape[1])


def test_a_layer_that_is_used_twice_stays_in_float():
    plan = plan_quantization(Twice())
    assert plan.layers == ("first",)
    assert plan.notes == ("stay in float: 2 Linear 'shared' (used at several places), mul",)
    batches = [torch.randn(10, 5)]
    made = calibrate(Twice(), plan, batches, MinMax(), ACTIVATIONS, WEIGHTS).network
    made(batches[0])


def test_a_layer_that_is_called_by_keyword_stays_in_float():
    class ByKeyword(nn.Sequential):
        def forward(self, x):
            return self[1](input=self[0](x))

    plan = plan_quantization(ByKeyword(nn.Linear(5, 5), nn.Linear(5, 5)))
    assert plan.layers == ("0",)
    assert plan.notes == ("stay in float: Linear '1' (not called as layer(x))",)


def test_the_plan_of_another_network_is_refused():
    keys = {key: value for key, value in quantized("resnet8").changes[0].items() if key != "name"}
    with pytest.raises(UserError) as error:
        static_structure(folded("vgg8"), **keys)
    assert "has the layer 'conv1'" in error.value.lines[0]
    with pytest.raises(UserError, match="has the operator 'image'"):
        static_structure(folded("resnet8"), **{**keys, "after": ["image"]})


@pytest.mark.parametrize("name", ["resnet8", "mobilenet_v2_x0_5"])
def test_taps_of_a_quantized_network_read_the_same_features(name):
    plain, whole = folded(name), quantized(name).network
    places = {place: place for stage in plain.roles.values() for place in stage}
    assert whole.roles == plain.roles
    asked = [TappedNetwork(one, places) for one in (plain, whole)]
    expected, found = (one(samples(4)) for one in asked)
    for one in asked:
        one.close()
    assert found.taps.keys() == places.keys()
    for place, value in found.taps.items():
        assert differ(value, expected.taps[place]) < 0.1


def test_rounded_activations_lie_on_their_grids():
    network = deepcopy(quantized("shufflenet_v2").network)
    known = activation_quantizers(network)
    taps = TappedNetwork(network, {name: f"quantizers.{name}" for name in known})(samples(2)).taps
    for name, quantizer in known.items():
        value = taps[name]
        numbers = (value / quantizer.scale).double() + quantizer.zero
        torch.testing.assert_close(numbers, numbers.round(), atol=1e-3, rtol=0)
        assert numbers.min() > ACTIVATIONS.lowest - 0.1
        assert numbers.max() < ACTIVATIONS.highest + 0.1


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=3), nn.ReLU6()
    )


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [8, 5, 2])
def test_the_network_equals_integer_arithmetic(bits, symmetric, per_channel):
    grid = QuantizationGrid(bits, symmetric)
    network, batches = small(), [samples(4)]
    made = calibrate(
        network, plan_quantization(network), batches, MinMax(), grid, WeightGrid(grid, per_channel)
    ).network
    known = activation_quantizers(made)
    x = batches[0].double()
    (scale, zero) = (known["input_1"].scale.double(), known["input_1"].zero.double())
    whole = ((x / scale).round() + zero).clamp(grid.lowest, grid.highest)
    for path, clip, settings in (
        ("0", "_1", {"stride": 2, "padding": 1}),
        ("2", "_3", {"groups": 3}),
    ):
        layer = made.get_submodule(path)
        weights = layer.values.double()
        if layer.zero is not None:
            weights = weights - layer.zero.double().reshape(-1, *[1] * 3 * per_channel)
        sums = F.conv2d(whole - zero, weights, layer.whole_bias.double(), **settings)
        assert torch.equal(sums, sums.round())
        unit = (scale * layer.scale.double()).reshape(-1, 1, 1)
        quantizer = known[clip]
        scale, zero = quantizer.scale.double(), quantizer.zero.double()
        real = (sums * unit).clamp(0, 6 if path == "2" else None)
        whole = ((real / scale).round() + zero).clamp(grid.lowest, grid.highest)
    found = (made(batches[0]).double() / scale + zero).round()
    assert (found != whole).float().mean() < 1e-3  # of those at a tie
    assert (found - whole).abs().max() <= 1


@pytest.mark.parametrize("calibrator", [MinMax(), KLDivergence()])
def test_scales_follow_from_the_calibrators_range(calibrator):
    network, batches = small(), [samples(4, seed) for seed in (5, 6)]
    made = calibrate(network, plan_quantization(network), batches, calibrator, ACTIVATIONS, WEIGHTS)
    seen = ActivationStatistics()
    answers = [network[1](network[0](batch)) for batch in batches]
    for answer in answers:
        seen.update_extremes(answer)
    for answer in answers:
        seen.update_histogram(answer)
    scale, zero = affine_map(calibrator.range(seen, ACTIVATIONS), ACTIVATIONS)
    found = activation_quantizers(made.network)["_1"]
    assert (found.scale.item(), found.zero.item()) == (pytest.approx(scale), zero)
    assert zero == -128  # as it must be for runtimes to leave the ReLU out
    assert made.network.get_submodule("2").input_scale == found.scale


def test_samples_without_information_are_refused():
    network = small()
    plan = plan_quantization(network)

    def try_with(*batches):
        return calibrate(network, plan, batches, MinMax(), ACTIVATIONS, WEIGHTS)

    for nothing in ((), (samples(0), samples(0))):
        with pytest.raises(UserError, match=r"^the calibration set is empty"):
            try_with(*nothing)
    constant = samples(4)
    constant[:, 1] = 0.25
    with pytest.raises(UserError, match=r"^channel 1 of the calibration set is 0.25 everywhere"):
        try_with(constant, constant)
    try_with(constant, samples(4))
    broken = samples(4)
    broken[0, 0, 0, 0] = float("nan")
    with pytest.raises(UserError, match="not a finite number"):
        try_with(samples(4), broken)


def test_a_note_names_a_constant_activation():
    network = small()
    network[0].bias.data.fill_(-1000)
    made = calibrate(
        network, plan_quantization(network), [samples(4)], MinMax(), ACTIVATIONS, WEIGHTS
    )
    assert made.notes[-1].startswith("1 of 3 activations are the same number everywhere: _1")
    assert torch.isfinite(made.network(samples(2))).all()


def test_errors_grow_with_fewer_bits():
    network, errors = folded("resnet8"), []
    for bits in (8, 6, 4, 2):
        how = WeightGrid(QuantizationGrid(bits, True), True)
        plan, batches = plan_quantization(network), [samples(8)]
        made = calibrate(
            network, plan, batches, MinMax(), QuantizationGrid(bits, False), how
        ).network
        errors.append(differ(made(samples(8)), network(samples(8))))
    assert errors == sorted(errors)
    assert errors[0] < errors[2] / 5


def test_token_inputs_and_reflection_padding_can_be_quantized():
    torch.manual_seed(0)
    tokens = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5))
    mirrors = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.ReLU())
    for network, batch in ((tokens, torch.randn(4, 7, 6)), (mirrors, samples(4))):
        plan = plan_quantization(network)
        made = calibrate(network, plan, [batch], MinMax(), ACTIVATIONS, WEIGHTS).network
        assert made(batch).shape == network(batch).shape
        assert differ(made(batch), network(batch)) < 0.03


def test_the_result_has_the_seen_and_the_kept_ranges():
    network, batches = folded("resnet20"), [samples(16)]
    made = calibrate(
        network, plan_quantization(network), batches, Percentile(90), ACTIVATIONS, WEIGHTS
    )
    known = activation_quantizers(made.network)
    assert list(made.ranges) == list(known)
    images = made.ranges["images"]["seen"]
    assert images == [batches[0].min().item(), batches[0].max().item()]
    for name, ends in made.ranges.items():
        (seen_low, seen_high), (low, high) = ends["seen"], ends["kept"]
        assert seen_low <= low < high <= seen_high
        scale, zero = affine_map(ValueRange(low, high), ACTIVATIONS)
        assert (known[name].scale.item(), known[name].zero.item()) == (pytest.approx(scale), zero)
    assert any(ends["kept"][1] < ends["seen"][1] for ends in made.ranges.values())
