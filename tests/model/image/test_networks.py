"""Properties of every network of the table."""

from collections import Counter
from functools import cache

import pytest
import torch
from torch import nn
from torch.fx import symbolic_trace
from zoo import NAMES, OWN, SMALLEST, build, images, sketch

from kdrun import model
from kdrun.core.taps import tap_shapes

# Those whose weights take a moment to draw; the others of their builders stand for them.
HEAVY = {"resnet34", "resnet50", "resnet101", "resnet152", "vgg19"}
LIGHT = [name for name in NAMES if name not in HEAVY]


def small(name: str):
    """The smallest images that kdrun's own datasets have for this network: digits, or MNIST."""
    return images(28 if name == "lenet5" else 8, channels=1, classes=10)


def inputs(data, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, *data.inputs.shape, generator=generator)


@pytest.mark.parametrize("name", SMALLEST)
def test_it_answers_the_classes_of_color_images(name):
    assert model.check_forward("student", sketch(name, images(64)), images(64)) == []


@cache
def small_network(name: str) -> nn.Module:
    return build(name, small(name))


@pytest.mark.parametrize("name", LIGHT)
def test_it_answers_the_classes_of_the_smallest_images(name):
    assert model.check_forward("student", small_network(name), small(name)) == []


@pytest.mark.parametrize("name", LIGHT)
def test_every_parameter_learns(name):
    network = small_network(name).train()
    network(inputs(small(name), batch=4)).square().sum().backward()
    still = [key for key, value in network.named_parameters() if value.grad is None]
    assert still == []
    assert all(value.grad.isfinite().all() for value in network.parameters())


@pytest.mark.parametrize("name", LIGHT)
def test_it_is_rebuilt_from_its_node_and_weights(name):
    data = small(name)
    network, again = small_network(name).eval(), build(name, data).eval()
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(network(inputs(data)), again(inputs(data)))


@pytest.mark.parametrize("name", SMALLEST)
def test_the_seed_decides_the_weights(name):
    def draw(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return nn.utils.parameters_to_vector(build(name, small(name)).parameters())

    first = draw(1)
    assert torch.equal(first, draw(1))
    assert not torch.equal(first, draw(2))


@pytest.mark.parametrize("name", NAMES)
def test_its_roles_are_places_from_shallow_to_deep(name):
    data = images(32)
    network = sketch(name, data)
    roles = model.module_roles(network)
    paths = [*roles["stages"], *roles["embedding"], *roles["logits"]]
    shapes = tap_shapes(network, {path: path for path in paths}, data)
    sides = [shapes[stage][2:] for stage in roles["stages"]]
    assert sides == sorted(sides, reverse=True)
    assert len(shapes[roles["embedding"][0]]) == 2
    assert shapes[roles["logits"][0]] == (2, 100)


@pytest.mark.parametrize("name", NAMES)
def test_no_module_writes_over_its_input(name):
    network = sketch(name, images(32))
    assert not any(getattr(module, "inplace", False) for module in network.modules())


@pytest.mark.parametrize("name", OWN)
def test_each_module_is_used_once(name):
    calls = [
        node.target
        for node in symbolic_trace(sketch(name, images(32))).graph.nodes
        if node.op == "call_module"
    ]
    assert [path for path, times in Counter(calls).items() if times > 1] == []


@pytest.mark.parametrize("name", [name for name in OWN if not name.startswith("wrn")])
def test_each_norm_follows_a_convolution_that_nothing_else_reads(name):
    network = sketch(name, images(32))
    nodes = [node for node in symbolic_trace(network).graph.nodes if node.op == "call_module"]
    for node in nodes:
        if isinstance(network.get_submodule(node.target), nn.BatchNorm2d):
            source = node.args[0]
            assert isinstance(network.get_submodule(source.target), nn.Conv2d)
            assert len(source.users) == 1


@pytest.mark.parametrize("name", [name for name in SMALLEST if name != "mlp"])
def test_maps_stay_in_the_order_that_convolutions_like(name):
    network = build(name, images(32)).to(memory_format=torch.channels_last).eval()
    ordered = []
    for stage in model.module_roles(network)["stages"]:
        network.get_submodule(stage).register_forward_hook(
            lambda module, arguments, maps: ordered.append(
                maps.is_contiguous(memory_format=torch.channels_last)
            )
        )
    with torch.no_grad():
        network(inputs(images(32)).to(memory_format=torch.channels_last))
    assert ordered
    assert all(ordered)
