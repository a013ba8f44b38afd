"""Channel plans: their content, their form as JSON, and plans of other networks."""

import builtins
import json
import sys

import pytest
import torch
from channel_networks import FAMILIES, made, prune
from torch import nn
from zoo import build, images

from kdrun.compress.channels.plan import apply_channel_plan, make_channel_plan
from kdrun.core.errors import DamagedFile


def small(width: int = 8) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, 5, 1))


PLAN = make_channel_plan(small(), small(6))


def test_a_plan_holds_only_what_differs():
    assert PLAN == {
        "shapes": {
            "0.weight": [6, 3, 3, 3],
            "0.bias": [6],
            "1.weight": [6],
            "1.bias": [6],
            "1.running_mean": [6],
            "1.running_var": [6],
            "2.weight": [5, 6, 1, 1],
        },
        "sizes": {
            "0": {"out_channels": 6},
            "1": {"num_features": 6},
            "2": {"in_channels": 6},
        },
    }
    assert make_channel_plan(small(), small()) == {"shapes": {}, "sizes": {}}


@pytest.mark.parametrize("name", ["vit", "convnext", "grouped", "folded"])
def test_a_plan_survives_json(name):
    pytest.importorskip("torch_pruning")
    whole = made(name)
    pruned = prune(whole)
    plan = make_channel_plan(whole, pruned)
    read = json.loads(json.dumps(plan))
    assert read == plan
    again = apply_channel_plan(FAMILIES[name](), **read)
    assert make_channel_plan(again, pruned) == {"shapes": {}, "sizes": {}}
    again.load_state_dict(pruned.state_dict())
    assert [type(one) for one in again.parameters()] == [type(one) for one in pruned.parameters()]
    if name == "vit":
        assert again.hidden_dim == 16
        assert again.encoder.layers[0].self_attention.head_dim == 4


def test_applying_a_plan_does_not_import_torch_pruning(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest, **more):
        assert not name.startswith("torch_pruning")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    for name in [name for name in sys.modules if name.startswith("torch_pruning")]:
        monkeypatch.delitem(sys.modules, name)
    assert apply_channel_plan(small(), **PLAN)(torch.zeros(1, 3, 4, 4)).shape == (1, 5, 2, 2)


def test_frozen_parameters_stay_frozen():
    network = small()
    network[0].requires_grad_(False)
    changed = apply_channel_plan(network, **PLAN)
    assert [one.requires_grad for one in changed.parameters()] == [False] * 2 + [True] * 4


@pytest.mark.parametrize(
    ("shapes", "sizes", "said"),
    [
        ({"9.weight": [4]}, {}, "no parameter or buffer is called '9.weight'"),
        ({"0.bias": [9]}, {}, "'0.bias' has the shape [8], and can't become [9]"),
        ({"0.bias": [0]}, {}, "'0.bias' has the shape [8], and can't become [0]"),
        ({"0.bias": [2, 2]}, {}, "'0.bias' has the shape [8], and can't become [2, 2]"),
        ({"0.bias": [2.5]}, {}, "'0.bias' has the shape [8], and can't become [2.5]"),
        ({"0.bias": "4"}, {}, "'0.bias' has the shape [8], and can't become '4'"),
        ({}, {"layer1": {"out_channels": 4}}, "no module is called 'layer1'"),
        ({}, {"0": {"channels": 4}}, "'0.channels' is no size of a module"),
        ({}, {"0": {"training": 1}}, "'0.training' is no size of a module"),
        ({}, {"0": {"forward": 1}}, "'0.forward' is no size of a module"),
        ({}, {"0": {"out_channels": 9}}, "'0.out_channels' is 8, and can't become 9"),
        ({}, {"0": {"out_channels": True}}, "'0.out_channels' is 8, and can't become True"),
        ({}, {"0": {"stride": 1}}, "'0.stride' is (1, 1), and can't become 1"),
    ],
)
def test_a_plan_of_another_network_is_refused(shapes, sizes, said):
    with pytest.raises(DamagedFile) as error:
        apply_channel_plan(small(), shapes, sizes)
    assert error.value.lines == (f"the channel plan is not of this network: {said}.",)


def test_a_plan_of_a_narrower_network_is_refused():
    with pytest.raises(DamagedFile, match="has the shape"):
        apply_channel_plan(
            build("resnet8", images(32)), **make_channel_plan(*map(resnet, (64, 48)))
        )


def resnet(width: int) -> nn.Module:
    return build("resnet8", images(32), widths=[width] * 4)
