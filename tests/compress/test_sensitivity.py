"""Sensitivity: each trial changes one layer and restores it."""

import pytest
import torch
from torch import nn

from kdrun.compress.sensitivity import TRIALS, trials


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 5, 2), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(20, 10))


def test_each_trial_changes_one_layer_only(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    seen = []
    for layer, trial in trials(network):
        changed = [
            name for name, value in network.state_dict().items() if not before[name].equal(value)
        ]
        assert changed == [f"{layer}.weight"]
        weight = network.get_parameter(f"{layer}.weight")
        if trial.endswith("of weights 0"):
            share = float(trial.partition("%")[0]) / 100
            assert int((weight == 0).sum()) == round(share * weight.numel())
        else:
            levels = 2 ** int(trial.partition(" ")[0]) - 1
            assert all(len(row.unique()) <= levels for row in weight.flatten(1))
        seen.append((layer, trial))
    assert seen == [(layer, trial) for layer in ("0", "3") for trial in TRIALS]
    assert all(before[name].equal(value) for name, value in network.state_dict().items())


def test_closing_the_iterator_restores_the_network(network):
    before = network[0].weight.detach().clone()
    found = trials(network)
    next(found)
    assert not network[0].weight.equal(before)
    found.close()
    assert network[0].weight.equal(before)
