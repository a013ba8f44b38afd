"""Folding batch norms keeps outputs and module paths."""

import pytest
import torch
from nets import NAMES, make, samples
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from kdrun.compress.fold_batch_norm import fold_batch_norms, foldable_pairs
from kdrun.core.errors import UserError

FOLDED = {  # how many norms of how many
    "resnet8": (9, 9),
    "vgg8": (5, 5),
    "wrn_16_1": (6, 13),
    "mobilenet_v2_x0_5": (53, 53),
    "shufflenet_v2": (56, 56),
    "mobilenet_v3": (34, 34),
    "densenet": (5, 11),  # the others stand before a convolution
}


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, _BatchNorm) for module in network.modules())


@pytest.mark.parametrize("name", NAMES)
def test_folding_keeps_outputs_and_removes_norms(name):
    network = make(name)
    small = fold_batch_norms(network)
    few, all_of_them = FOLDED.get(name, (0, 0))
    assert (len(foldable_pairs(network)), norms(network)) == (few, all_of_them)
    assert norms(small) == all_of_them - few
    with torch.no_grad():
        torch.testing.assert_close(small(samples(4)), network(samples(4)), rtol=1e-4, atol=1e-4)
    assert {path for path, _ in small.named_modules()} == {
        path for path, _ in network.named_modules()
    }


@pytest.mark.parametrize("name", ["resnet8", "densenet"])
def test_a_folded_new_network_takes_the_folded_weights(name):
    small, new = fold_batch_norms(make(name)), fold_batch_norms(make(name).train())
    assert new.training
    for value in new.state_dict().values():
        value.zero_()
    new.load_state_dict(small.state_dict())
    assert torch.equal(new.eval()(samples(2)), small(samples(2)))


def test_the_original_network_is_unchanged():
    network = make("resnet8")
    before = network(samples(2))
    weights = fold_batch_norms(network).conv1.weight
    assert weights.requires_grad
    assert torch.equal(network(samples(2)), before)


@pytest.mark.parametrize("affine", [True, False])
def test_a_norm_is_folded_into_a_linear_layer(affine):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5, affine=affine)).train()
    network(torch.randn(20, 6) * 3 + 1)
    inputs = torch.randn(4, 6)
    small = fold_batch_norms(network.eval())
    assert isinstance(small[1], nn.Identity)
    torch.testing.assert_close(small(inputs), network(inputs))


def test_a_norm_over_positions_is_not_folded_into_a_linear_layer():
    network = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(7)).eval()
    assert foldable_pairs(network) == []
    network(torch.randn(2, 7, 6))


def test_a_layer_with_shared_weights_is_not_folded():
    network = nn.Sequential(
        nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
    )
    assert len(foldable_pairs(network)) == 2
    network[2].weight = network[0].weight
    assert foldable_pairs(network) == []


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 5, 3), Choice())

    def forward(self, x):
        return self.inner(x)


class Choice(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x
        return -x


def test_an_untraceable_operation_is_named_with_its_line():
    network = Branching().train()
    network.inner[0].eval()
    with pytest.raises(UserError) as error:
        fold_batch_norms(network)
    first, second, third = error.value.lines
    assert first.startswith("the graph of this network can't be read: ")
    assert "control flow" in first
    assert second.startswith("  in 'inner.1' (Choice), line ")
    assert second.endswith("test_fold_batch_norm.py: if x.sum() > 0:")
    assert "quantize_weights" in third
    assert network.training
    assert not network.inner[0].training
