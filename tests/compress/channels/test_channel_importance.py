"""Importance scores against their formulas, in float64 for one channel at a time."""

import pytest
import torch
from channel_networks import SIDE, labeled, made, sample
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kdrun.compress.channels import importance as importances
from kdrun.compress.channels.channel_group import ChannelGroup
from kdrun.compress.channels.groups import find_groups
from kdrun.compress.channels.importance import ScoringInputs
from kdrun.core.errors import UserError

pytest.importorskip("torch_pruning")
NAMES = ["resnet20", "wrn_16_1", "densenet", "folded", "grouped", "vit"]


def scored(name: str, importance: str) -> tuple[nn.Module, list[ChannelGroup], list[Tensor | None]]:
    network = made(name).double()
    groups = find_groups(network, sample().double())
    batches = [(images.double(), labels) for images, labels in labeled()]
    score = getattr(importances, importance)
    return network, groups, score(network, groups, ScoringInputs(0, batches))


def makers(network: nn.Module, group: ChannelGroup) -> dict[tuple[str, int], int]:
    """Maps (path of a layer or norm, output index) to the channel of the group."""
    return {
        (member.dimension.path, int(index)): int(channel)
        for member in group.members
        if member.dimension.is_output and member.dimension.dim is None
        for index, channel in zip(member.indices, member.channels, strict=True)
    }


def filters(layer: nn.Module, index: int, of: str = "data") -> list[Tensor]:
    """The weights of one output of a layer (or their gradients), as flat tensors."""
    if isinstance(layer, nn.MultiheadAttention):
        rows = [index, index + layer.embed_dim, index + 2 * layer.embed_dim]
        pieces = [getattr(layer.in_proj_weight, of)[row] for row in rows]
        return [*pieces, getattr(layer.out_proj.weight, of)[index]]
    if isinstance(layer, nn.ConvTranspose2d):
        return [getattr(layer.weight, of)[:, index].flatten()]
    if isinstance(layer, nn.Conv2d | nn.Linear):
        return [getattr(layer.weight, of)[index].flatten()]
    return []


def biases(layer: nn.Module, index: int, of: str = "data") -> list[Tensor]:
    if isinstance(layer, nn.MultiheadAttention):
        rows = [index, index + layer.embed_dim, index + 2 * layer.embed_dim]
        pieces = [getattr(layer.in_proj_bias, of)[row] for row in rows]
        return [*pieces, getattr(layer.out_proj.bias, of)[index]]
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and layer.bias is not None:
        return [getattr(layer.bias, of)[index]]
    return []


def summed(network: nn.Module, group: ChannelGroup, value) -> Tensor:
    """Sum value(layer, index) by channel, over the layers that output the channel."""
    sums = torch.zeros(group.channels, dtype=torch.float64)
    for (path, index), channel in makers(network, group).items():
        sums[channel] += value(network.get_submodule(path), index)
    return sums


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("power", [1, 2])
def test_l1_and_l2_equal_their_formulas(name, power):
    network, groups, found = scored(name, f"l{power}")

    def norm(layer, index):
        values = [value.abs() ** power for value in filters(layer, index)]
        return float(sum(value.sum() for value in values)) ** (1 / power) if values else 0.0

    for group, score in zip(groups, found, strict=True):
        wanted = summed(network, group, norm)
        torch.testing.assert_close(score, wanted / wanted.mean())


@pytest.mark.parametrize("name", ["folded", "grouped", "vit"])
def test_fpgm_equals_its_formula(name):
    network, groups, found = scored(name, "fpgm")

    def distances(layer, index):
        own = filters(layer, index)
        if not own:
            return 0.0
        outputs = getattr(layer, "out_channels", None) or getattr(layer, "embed_dim", None)
        total = 0.0
        for other in range(outputs or layer.out_features):
            pairs = zip(own, filters(layer, other), strict=True)
            total += float(sum(((one - two) ** 2).sum() for one, two in pairs)) ** 0.5
        return total

    for group, score in zip(groups, found, strict=True):
        wanted = summed(network, group, distances)
        torch.testing.assert_close(score, wanted / wanted.mean(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["resnet20", "wrn_16_1", "densenet"])
def test_bn_scale_is_the_mean_of_scales(name):
    network, groups, found = scored(name, "bn_scale")
    for group, score in zip(groups, found, strict=True):
        scales: dict[int, list[float]] = {}
        for (path, index), channel in makers(network, group).items():
            module = network.get_submodule(path)
            if isinstance(module, nn.BatchNorm2d):
                scales.setdefault(channel, []).append(abs(module.weight[index].item()))
        wanted = [sum(scales[number]) / len(scales[number]) for number in range(group.channels)]
        torch.testing.assert_close(score, torch.tensor(wanted, dtype=torch.float64))


def test_groups_without_norms_have_no_scale():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(6, 2)
    )
    groups = find_groups(network, torch.zeros(1, 3, 5, 5))
    found = importances.bn_scale(network, groups, ScoringInputs(0))
    assert [score is None for score in found] == [False, True]


def products(network: nn.Module, group: ChannelGroup, square: bool) -> Tensor:
    """The sum of g w, or of (g w)^2 / 2, over the weights that compute each channel."""
    norms = {
        path
        for path, _ in makers(network, group)
        if isinstance(network.get_submodule(path), nn.BatchNorm2d)
    }
    sums = torch.zeros(group.channels, dtype=torch.float64)
    for (path, index), channel in makers(network, group).items():
        layer = network.get_submodule(path)
        if norms:
            parts = (layer.weight, layer.bias) if path in norms else ()
            pairs = [(part.data[index], part.grad[index]) for part in parts]
        else:
            weights = [*filters(layer, index), *biases(layer, index)]
            grads = [*filters(layer, index, "grad"), *biases(layer, index, "grad")]
            pairs = list(zip(weights, grads, strict=True))
        for weight, grad in pairs:
            product = (weight * grad).double()
            sums[channel] += (product.square() / 2 if square else product).sum()
    return sums


@pytest.mark.parametrize("name", NAMES)
def test_taylor_is_the_mean_squared_change_of_first_order(name):
    network, groups, found = scored(name, "taylor")
    network.eval()
    wanted = [torch.zeros(group.channels, dtype=torch.float64) for group in groups]
    for images, labels in labeled():
        network.zero_grad()
        cross_entropy(network(images.double()), labels).backward()
        for total, group in zip(wanted, groups, strict=True):
            total += products(network, group, square=False) ** 2 / len(labeled())
    for score, total in zip(found, wanted, strict=True):
        torch.testing.assert_close(score.double(), total, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("name", ["resnet20", "folded", "vit"])
def test_hessian_is_half_the_mean_squared_gradient_times_the_squared_weights(name):
    network, groups, found = scored(name, "hessian")
    network.eval()
    wanted = [torch.zeros(group.channels, dtype=torch.float64) for group in groups]
    samples = [
        (image, label)
        for images, labels in labeled()
        for image, label in zip(images, labels, strict=True)
    ]
    for image, label in samples:
        network.zero_grad()
        cross_entropy(network(image[None].double()), label[None]).backward()
        for total, group in zip(wanted, groups, strict=True):
            total += products(network, group, square=True) / len(samples)
    for score, total in zip(found, wanted, strict=True):
        torch.testing.assert_close(score.double(), total, rtol=1e-5, atol=1e-15)


def test_taylor_predicts_the_change_of_the_loss():
    """For a small change of a channel's scale and shift, where the first order dominates."""
    network, groups, _ = scored("resnet20", "taylor")
    (images, labels), *_ = [(images.double(), labels) for images, labels in labeled(1)]
    score = importances.taylor(network, groups, ScoringInputs(0, [(images, labels)]))
    network.eval()
    group = next(group for group in groups if group.path == "layer1.0.conv1")
    with torch.no_grad():
        before = cross_entropy(network(images), labels)
        for part in (network.layer1[0].bn1.weight, network.layer1[0].bn1.bias):
            part[3] *= 1 - 1e-5
        change = (cross_entropy(network(images), labels) - before) / 1e-5
    foretold = score[groups.index(group)][3]
    torch.testing.assert_close(change**2, foretold.double(), rtol=1e-3, atol=0)


def test_random_scores_depend_on_the_seed():
    groups = find_groups(made("resnet20"), sample())
    one, same, other = (importances.random(nn.ReLU(), groups, ScoringInputs(s)) for s in (1, 1, 2))
    assert all(torch.equal(*pair) for pair in zip(one, same, strict=True))
    assert not any(torch.equal(*pair) for pair in zip(one, other, strict=True))


def test_scores_that_are_not_finite_are_refused():
    from channel_networks import choice

    from kdrun.compress.channels.prune import prune_channels

    network = made("vgg8")
    network.block1[0].weight.data[3] = float("nan")
    with pytest.raises(UserError, match=r"of 'block1\.0''s channels is not a finite number"):
        prune_channels(network, torch.zeros(1, 3, SIDE, SIDE), 0.5, choice(), ScoringInputs(0))
