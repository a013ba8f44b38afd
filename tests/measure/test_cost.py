"""Counts against published ones and against arithmetic."""

import pytest
import torch
import torchvision
from torch import nn

from kdrun.measure.cost import macs, nonzero_parameters, parameters

META = torch.device("meta")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "shufflenet_v2_x1_0", "alexnet"])
def test_counts_equal_those_that_torchvision_publishes(name):
    published = torchvision.models.get_model_weights(name).DEFAULT.meta
    with META:
        network = torchvision.models.get_model(name)
    assert parameters(network) == published["num_params"]
    counted = macs(network, torch.zeros(1, 3, 224, 224, device=META)) / 1e9
    assert counted == pytest.approx(published["_ops"], abs=6e-4)


def test_macs_are_counted_on_the_device_and_leave_the_network_as_it_was():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(32, 5))
    network[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert macs(network, torch.zeros(1, 3, 4, 4)) == 8 * 3 * 9 * 4 + 32 * 5
    assert [module.training for module in network] == [True, False, True, True]
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize("frozen", [False, True])
def test_attention_is_counted_also_in_a_frozen_network(frozen):
    tokens, width, inner, layers = 17, 16, 32, 2
    network = torchvision.models.VisionTransformer(32, 8, layers, 2, width, inner, num_classes=4)
    network.requires_grad_(not frozen)
    projections = tokens * width * (3 * width + width + 2 * inner)
    attention = 2 * tokens * tokens * width
    expected = 16 * 3 * 64 * width + layers * (projections + attention) + width * 4
    assert macs(network, torch.zeros(1, 3, 32, 32)) == expected
    assert torch.backends.mha.get_fastpath_enabled()


def test_half_precision_networks_are_counted():
    assert macs(nn.Linear(6, 4).bfloat16(), torch.zeros(1, 6)) == 24


def test_a_network_without_parameters_costs_nothing():
    assert macs(nn.Flatten(), torch.zeros(1, 3, 4, 4)) == 0
    assert parameters(nn.Flatten()) == 0


def test_shared_parameters_count_once():
    first = nn.Linear(4, 4)
    assert parameters(nn.Sequential(first, nn.ReLU(), first)) == 20


def test_nonzero_parameters_leave_out_what_was_pruned():
    network = nn.Linear(4, 4)
    nn.init.ones_(network.weight)
    nn.init.ones_(network.bias)
    with torch.no_grad():
        network.weight[0] = 0
    assert nonzero_parameters(network) == 16
    assert parameters(network) == 20
