"""Channel pruning: pruned networks run, the right channels are pruned, and what is refused."""

from copy import deepcopy
from typing import get_args

import pytest
import torch
from channel_networks import FAMILIES, SIDE, choice, made, prune, sample
from torch import nn
from torchvision.models import SwinTransformer, get_model
from torchvision.models.shufflenetv2 import ShuffleNetV2
from zoo import build, count, images

from kdrun.compress.channels.groups import find_groups
from kdrun.compress.channels.importance import IMPORTANCES, ScoringInputs
from kdrun.compress.channels.plan import apply_channel_plan, make_channel_plan
from kdrun.compress.channels.prune import prune_channels, prune_to_cost
from kdrun.core.errors import UserError
from kdrun.measure.cost import macs
from kdrun.step.prune_channels import Importance

pytest.importorskip("torch_pruning")
SHAPE = (3, SIDE, SIDE)


def multiplications(network: nn.Module) -> float:
    return macs(network, torch.zeros(1, *SHAPE))


@pytest.mark.parametrize("name", FAMILIES)
def test_pruned_networks_run_have_gradients_and_are_rebuilt(name):
    whole = made(name)
    pruned = prune(whole)
    assert multiplications(pruned) < 0.45 * multiplications(whole)
    inputs = torch.randn(2, *SHAPE)
    answers = pruned.eval()(inputs)
    assert answers.shape == (2, 10)
    answers.square().sum().backward()
    assert all(weight.grad is not None for weight in pruned.parameters())
    again = apply_channel_plan(FAMILIES[name](), **make_channel_plan(whole, pruned))
    again.load_state_dict(pruned.state_dict())
    assert torch.equal(again.eval()(inputs), answers)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["resnet50", "vgg16_bn", "densenet121", "convnext_tiny", "vit_b_16"]
)
def test_half_of_the_channels_need_a_quarter_of_the_macs(name):
    whole = get_model(name, weights=None)
    images = torch.zeros(1, 3, 224, 224)
    pruned = prune_channels(whole, images, 0.5, choice(), ScoringInputs(0))
    before, after = (macs(one, torch.zeros(1, 3, 224, 224)) for one in (whole, pruned))
    assert 0.24 < after / before < 0.27
    pruned(torch.randn(2, 3, 224, 224)).sum().backward()
    again = apply_channel_plan(get_model(name, weights=None), **make_channel_plan(whole, pruned))
    again.load_state_dict(pruned.state_dict())


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.75])
@pytest.mark.parametrize("name", ["resnet20", "densenet", "mobilenet_v2", "grouped", "vit"])
def test_a_uniform_ratio_is_exact_in_each_layer(name, ratio):
    whole = made(name)
    pruned = prune(whole, ratio)
    groups = find_groups(whole, sample())
    assert groups
    for group in groups:
        heads = group.block_size
        assert width(pruned, group.path) == group.blocks * (heads - round(ratio * heads))


def width(network: nn.Module, path: str) -> int:
    """Number of output channels of a layer."""
    layer = network.get_submodule(path)
    names = ("out_channels", "out_features", "num_features", "embed_dim")
    return next(getattr(layer, name) for name in names if hasattr(layer, name))


@pytest.mark.parametrize("name", ["resnet20", "wrn_16_1", "densenet", "folded", "bottleneck"])
def test_a_global_ratio_is_exact_over_all_layers(name):
    whole = made(name)
    groups = find_groups(whole, sample())
    pruned = prune(whole, 0.3, scope="global")
    total = sum(group.channels for group in groups)
    assert sum(width(pruned, group.path) for group in groups) == total - round(0.3 * total)


@pytest.mark.parametrize("scope", ["uniform", "global"])
@pytest.mark.parametrize("name", ["resnet20", "vgg8", "vit", "grouped"])
def test_remaining_channels_are_a_multiple_of_round_to(name, scope):
    whole = made(name)
    pruned = prune(whole, 0.4, round_to=4, scope=scope)
    for group in find_groups(whole, sample()):
        assert width(pruned, group.path) % 4 == 0
        if scope == "uniform":
            wanted = 0.6 * group.channels
            assert abs(width(pruned, group.path) - wanted) <= 2.5 * group.blocks


def test_the_channels_with_the_lowest_scores_are_pruned():
    whole = made("vgg8")
    pruned = prune(whole, 0.25)
    scores = whole.block0[0].weight.abs().sum(dim=(1, 2, 3))
    kept = pruned.block0[0].weight.abs().sum(dim=(1, 2, 3))
    assert torch.equal(kept, scores[scores >= scores.sort().values[16]])


def test_pruning_channels_of_zeros_keeps_the_outputs():
    """Half of each layer's channels are 0, so pruning them does not change the output."""
    whole = made("resnet20").eval()
    for group in find_groups(whole, sample()):
        nothing = torch.randperm(group.channels)[: group.channels // 2]
        for member in group.members:
            module = whole.get_submodule(member.dimension.path)
            if member.dimension.is_output:
                gone = member.indices_of(nothing)
                module.weight.data[gone] = 0
                if isinstance(module, nn.BatchNorm2d):
                    module.bias.data[gone] = 0
    inputs = torch.randn(2, *SHAPE)
    for scope in ("uniform", "global"):
        pruned = prune(whole, scope=scope)
        assert count(pruned) < 0.3 * count(whole)
        torch.testing.assert_close(pruned(inputs), whole(inputs), atol=1e-4, rtol=1e-4)


def test_weights_of_layer_norms_stay_with_their_channels():
    """With many pruned channels, torch-pruning itself would reorder the remaining ones."""
    whole = nn.Sequential(nn.Flatten(), nn.Linear(12, 768), nn.LayerNorm(768), nn.Linear(768, 10))
    whole[2].weight.data = torch.arange(768.0)
    pruned = prune_channels(whole, torch.zeros(1, 3, 2, 2), 0.7, choice(), ScoringInputs(0))
    kept = pruned[2].weight.long()
    assert len(kept) == 230
    assert torch.equal(pruned[1].weight, whole[1].weight[kept])
    assert torch.equal(pruned[3].weight, whole[3].weight[:, kept])


@pytest.mark.parametrize("importance", IMPORTANCES)
def test_every_importance_prunes_and_leaves_the_network_as_it_is(importance):
    whole = made("resnet20").train()
    whole.bn1.eval()
    whole.conv1.requires_grad_(False)
    whole(torch.randn(2, *SHAPE)).sum().backward()
    before = deepcopy(whole)
    grads = [None if one.grad is None else one.grad.clone() for one in whole.parameters()]
    first, second = (prune(whole, importance=importance, scope="global", ratio=0.2) for _ in "12")
    for one, two in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    for one, two in zip(whole.state_dict().values(), before.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    for weight, grad in zip(whole.parameters(), grads, strict=True):
        assert grad is None if weight.grad is None else torch.equal(weight.grad, grad)
    modes = [module.training for module in whole.modules()]
    assert modes == [module.training for module in before.modules()]
    assert modes == [module.training for module in first.modules()]
    assert all(weight.grad is None for weight in first.parameters())
    assert [weight.requires_grad for weight in first.parameters()] == [
        weight.requires_grad for weight in whole.parameters()
    ]
    assert not any(module._forward_hooks for module in whole.modules())


def test_random_importance_depends_on_the_seed():
    whole = made("vgg8")
    first, other = (prune(whole, importance="random", seed=seed) for seed in (0, 1))
    assert first.block0[0].weight.shape == other.block0[0].weight.shape
    assert not torch.equal(first.block0[0].weight, other.block0[0].weight)


@pytest.mark.parametrize("share", [0.3, 0.6])
@pytest.mark.parametrize(("name", "scope"), [("resnet20", "global"), ("vit", "uniform")])
def test_a_share_of_the_cost_is_reached_within_one_step(name, scope, share):
    whole = made(name)
    how = choice(scope=scope)
    pruned, ratio = prune_to_cost(
        whole, sample(), share, multiplications, "macs", how, ScoringInputs(0)
    )
    most = share * multiplications(whole)
    assert multiplications(pruned) <= most
    less = prune_channels(whole, sample(), ratio - 2 / 4096, how, ScoringInputs(0))
    assert multiplications(less) > most
    same = prune_channels(whole, sample(), ratio, how, ScoringInputs(0))
    assert make_channel_plan(whole, pruned) == make_channel_plan(whole, same)


def test_layers_that_are_skipped_keep_their_channels():
    whole = made("resnet20")
    pruned = prune(whole, skip=["layer2", "layer1.*.conv1"])
    assert pruned.layer1[0].conv1.out_channels == 16
    assert pruned.layer2[1].conv1.weight.shape == whole.layer2[1].conv1.weight.shape
    assert pruned.layer1[0].conv1.in_channels == 8
    assert pruned.layer3[0].conv1.out_channels == 32


def test_outputs_of_a_convolution_are_not_pruned():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    pruned = prune(network)
    assert pruned(torch.randn(2, *SHAPE)).shape == (2, 10)
    assert pruned[0].out_channels == 4


def lines(network: nn.Module, ratio: float = 0.5, **changed) -> tuple[str, ...]:
    with pytest.raises(UserError) as error:
        prune(network, ratio, **changed)
    return error.value.lines


def test_the_config_takes_every_importance():
    assert get_args(Importance) == tuple(IMPORTANCES)


def test_a_glob_that_matches_nothing_is_refused():
    first, second = lines(made("resnet20"), skip=["layer9.conv1"])
    assert first == "skip='layer9.conv1' matches no module."
    assert "nearest: layer" in second


def test_a_ratio_that_empties_a_layer_is_refused():
    first, second = lines(made("resnet20"), 0.97)
    assert first == "ratio=0.97 leaves no channel of 'conv1', which has 16."
    assert "skip=[conv1]" in second
    unequal = made("vgg8")
    unequal.block0[1].weight.data.fill_(1e-6)
    first, _ = lines(unequal, 0.3, scope="global", importance="bn_scale")
    assert first == "ratio=0.3 leaves no channel of 'block0.0', which has 64."


def test_round_to_above_a_layers_channels_is_refused():
    first, second = lines(made("resnet20"), round_to=32)
    assert first == "round_to=32 is more than the 16 channels of 'conv1'."
    assert "skip=[conv1]" in second


@pytest.mark.parametrize("name", ["folded", "convnext"])
def test_bn_scale_needs_batch_norms(name):
    first, second = lines(made(name), importance="bn_scale")
    assert first.startswith("importance=bn_scale needs batch norms with scales")
    assert "importance=l1" in second


@pytest.mark.parametrize("importance", ["taylor", "hessian"])
def test_importances_from_gradients_need_labels(importance):
    how = choice(importance=importance)
    with pytest.raises(UserError, match=f"importance={importance} needs samples with labels"):
        prune_channels(made("resnet20"), sample(), 0.5, how, ScoringInputs(0, None))
    with pytest.raises(UserError, match="there is no batch"):
        prune_channels(made("resnet20"), sample(), 0.5, how, ScoringInputs(0, []))


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr("kdrun.compress.channels.dependency_graph.find_spec", lambda name: None)
    assert lines(made("vgg8")) == (
        "pruning channels needs an extra.",
        "  pip install 'kdrun[prune]'",
    )


def test_pruning_no_channel_is_refused():
    assert lines(made("resnet20"), 0.0)[0] == "ratio=0 prunes no channel of any layer."
    assert lines(made("resnet20"), 0.001)[0] == "ratio=0.001 prunes no channel of any layer."
    first, second = lines(made("resnet20"), skip=["*"])
    assert first == "no layer's channels can be pruned."
    assert "skip=['*'] keeps" in second
    first, second = lines(nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, 10)))
    assert "the network's outputs" in second


def test_a_share_that_no_ratio_reaches_is_refused():
    with pytest.raises(UserError, match=r"macs=0.001 can't be reached: with a channel"):
        prune_to_cost(
            made("resnet20"), sample(), 1e-3, multiplications, "macs", choice(), ScoringInputs(0)
        )


def swin() -> nn.Module:
    return SwinTransformer([4, 4], 16, [2, 2], [2, 2], [2, 2], num_classes=10)


@pytest.mark.parametrize(
    ("network", "operation"),
    [
        (lambda: build("shufflenet_v1", images(SIDE)), "ChannelShuffle"),
        (lambda: build("shufflenet_v2", images(SIDE)), "ChannelShuffle"),
        (lambda: ShuffleNetV2([1, 1, 1], [8, 16, 24, 32, 40], num_classes=10), "Transpose"),
        (swin, "Roll"),
    ],
)
def test_operations_that_torch_pruning_cannot_follow_are_named(network, operation):
    first, second = lines(network())
    assert "can't be pruned: torch-pruning does not follow them through" in first
    assert operation in first
    assert "skip=[" in second or "prune_weights" in second
