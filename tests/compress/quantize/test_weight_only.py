"""Weight-only and dynamic quantization, to 8 bits and to 4."""

import pytest
import torch
from nets import NAMES, differ, make, samples
from safetensors.torch import load, save
from torch import nn

from kdrun.compress.quantize.dynamic import DynamicLinear, dynamic_structure, quantize_dynamic
from kdrun.compress.quantize.weight_only import (
    WeightOnlyLayer,
    _pack,
    _unpack,
    quantize_weights,
    weight_only_structure,
)
from kdrun.compress.structure_changes import CompressionResult
from kdrun.core.errors import UserError
from kdrun.measure.cost import macs

WAYS = {
    "8 bits": lambda network: quantize_weights(network, 8, None, "*"),
    "8 bits in groups": lambda network: quantize_weights(network, 8, 32, "*"),
    "4 bits": lambda network: quantize_weights(network, 4, None, "*"),
    "4 bits in groups": lambda network: quantize_weights(network, 4, 16, "*"),
    "dynamic": lambda network: quantize_dynamic(network, "*"),
}
CHANGES = {"quantize_weights": weight_only_structure, "quantize_dynamic": dynamic_structure}


def rebuilt(network: nn.Module, made: CompressionResult) -> nn.Module:
    keys = dict(made.changes[0])
    return CHANGES[keys.pop("name")](network, **keys)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_close_and_restored_from_a_file(name, way):
    network = make(name)
    made = WAYS[way](network)
    found = made.network(samples(4))
    assert differ(found, network(samples(4))) < (0.6 if way.startswith("4") else 0.05)
    new = rebuilt(network, made)
    new.load_state_dict(load(save(made.network.state_dict())))
    assert torch.equal(new(samples(4)), found)
    assert not any(isinstance(one, WeightOnlyLayer | DynamicLinear) for one in network.modules())


def weight_of(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


LAYERS = {
    "linear": nn.Linear(37, 5),
    "convolution": nn.Conv2d(6, 8, 3, bias=False),
    "depthwise": nn.Conv2d(6, 6, 3, groups=6, padding=1),
    "grouped": nn.Conv2d(6, 9, (3, 2), groups=3, stride=2),
    "signal": nn.Conv1d(6, 4, 5, dilation=2),
    "volume": nn.Conv3d(2, 4, 2),
    "mirrored": nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
}
INPUTS = {
    "linear": (3, 4, 37),
    "signal": (2, 6, 20),
    "volume": (2, 2, 4, 4, 4),
    "mirrored": (2, 3, 7, 7),
}


@pytest.mark.parametrize("group", [None, 4, 7, 1000])
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("kind", LAYERS)
def test_weights_are_rounded_by_at_most_half_their_groups_scale(kind, bits, group):
    network = nn.Sequential(LAYERS[kind])
    layer = network[0]
    with torch.no_grad():
        layer.weight.copy_(weight_of(*layer.weight.shape))
        layer.weight[0] = 0
    (stored,) = quantize_weights(network, bits, group, "*").network
    rows, moved = (
        tensor.detach().flatten(1) for tensor in (layer.weight, stored.weight - layer.weight)
    )
    for start in range(0, rows.shape[1], group or rows.shape[1]):
        part = slice(start, start + (group or rows.shape[1]))
        step = rows[:, part].abs().amax(1) / (2 ** (bits - 1) - 1)
        assert (moved[:, part].abs().amax(1) <= step * 0.5002 + 1e-9).all()
    assert stored.weight[0].eq(0).all()
    x = weight_of(*INPUTS.get(kind, (2, 6, 7, 7)))
    torch.testing.assert_close(
        stored(x), type(layer).forward(_with(layer, stored.weight), x), rtol=1e-5, atol=1e-5
    )


def _with(layer: nn.Module, weight: torch.Tensor) -> nn.Module:
    keep = layer.state_dict() | {"weight": weight}
    layer.load_state_dict(keep)
    return layer


@pytest.mark.parametrize("inputs", [1, 2, 7, 8])
def test_two_integers_share_a_byte(inputs):
    numbers = torch.randint(-8, 8, (5, inputs))
    packed = _pack(numbers)
    assert packed.dtype == torch.uint8
    assert packed.shape == (5, (inputs + 1) // 2)
    assert torch.equal(_unpack(packed, inputs), numbers.to(torch.int8))
    first = packed[:, 0].tolist()
    assert [byte % 16 - 8 for byte in first] == numbers[:, 0].tolist()


def test_files_are_smaller():
    network = make("mlp")
    whole = len(save(network.state_dict()))
    for bits, group, ratio in ((8, None, 3.9), (4, None, 7.7), (4, 32, 6.2)):
        made = quantize_weights(network, bits, group, "*").network
        assert whole / len(save(made.state_dict())) > ratio
    assert whole / len(save(quantize_dynamic(network, "*").network.state_dict())) > 3.9


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["mlp", "resnet8"])
def test_macs_are_those_of_the_float_network(name, way):
    network = make(name)
    found, expected = (
        macs(one, torch.zeros(1, 3, 32, 32)) for one in (WAYS[way](network).network, network)
    )
    assert found == expected


def test_smaller_groups_have_smaller_errors():
    network = make("vgg8")
    weight = network.classifier.weight
    errors = [
        differ(quantize_weights(network, 4, group, "*").network.classifier.weight, weight)
        for group in (None, 32, 8)
    ]
    assert errors[0] > 1.1 * errors[1] > 1.2 * errors[2]


def test_layers_are_selected_by_a_glob():
    made = quantize_weights(make("lenet5"), 8, None, "fc*")
    assert made.changes[0]["layers"] == ["fc1", "fc2", "fc3"]
    assert isinstance(made.network.conv1, nn.Conv2d)
    assert quantize_dynamic(make("lenet5"), "fc3").changes[0]["layers"] == ["fc3"]


def test_notes_name_what_stays_in_float():
    (note,) = quantize_dynamic(make("resnet8"), "*").notes
    assert "of the weights stay in float, of which 'layer3.0.conv2.weight' has the most" in note
    assert quantize_weights(make("resnet8"), 8, None, "*").notes == ()


def test_invalid_settings_are_refused():
    network = make("lenet5")
    with pytest.raises(UserError) as error:
        quantize_weights(network, 8, None, "layer9*")
    assert error.value.lines[0].endswith("has a path like 'layer9*'.")
    assert "conv1, conv2, fc1" in error.value.lines[1]
    with pytest.raises(UserError, match="no linear layer has a path like"):
        quantize_dynamic(network, "conv*")
    with pytest.raises(UserError) as error:
        quantize_dynamic(nn.Sequential(nn.ReLU()), "*")
    assert "this network has none" in error.value.lines[1]


def test_quantized_layers_have_a_weight_attribute():
    attention = nn.Sequential(nn.Linear(8, 8), nn.MultiheadAttention(8, 2))
    made = quantize_weights(attention, 8, None, "*")
    assert made.changes[0]["layers"] == ["0"]  # the other reads its own inner weights
    assert made.network[0].weight.shape == (8, 8)
    made = quantize_dynamic(attention, "*")
    assert differ(made.network[0].weight, attention[0].weight) < 0.01


def test_a_shared_layer_is_replaced_at_both_paths():
    layer = nn.Linear(4, 4)
    made = quantize_weights(nn.Sequential(layer, nn.ReLU(), layer), 8, None, "*").network
    assert isinstance(made[2], WeightOnlyLayer)
    assert made[0](torch.ones(1, 4)).equal(made[2](torch.ones(1, 4)))
