"""What the blocks compute, against torchvision's and against the papers in plain lines."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock as TorchvisionBasicBlock
from torchvision.models.shufflenetv2 import InvertedResidual as TorchvisionShuffle
from zoo import build, images

from kdrun.model.image.mobilenet import InvertedResidual
from kdrun.model.image.resnet import BasicBlock
from kdrun.model.image.shufflenet import HalvingUnit, ShuffleUnit, SplitUnit
from kdrun.model.image.wide_resnet import PreactivationBlock


@pytest.fixture
def maps() -> Tensor:
    return torch.randn(2, 12, 6, 6, generator=torch.Generator().manual_seed(0))


def shake(block: nn.Module) -> nn.Module:
    """The block in eval mode, its norms with statistics of their own."""
    generator = torch.Generator().manual_seed(3)
    for value in block.state_dict().values():
        if value.is_floating_point() and value.dim() == 1:
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return block.eval()


def copy_in_order(source: nn.Module, target: nn.Module) -> nn.Module:
    pairs = zip(source.state_dict().values(), target.state_dict().values(), strict=True)
    for theirs, ours in pairs:
        ours.copy_(theirs)
    return target.eval()


def norm(maps: Tensor, layer: nn.BatchNorm2d) -> Tensor:
    shape = (1, -1, 1, 1)
    scaled = (maps - layer.running_mean.view(shape)) / (layer.running_var + 1e-5).sqrt().view(shape)
    return scaled * layer.weight.view(shape) + layer.bias.view(shape)


@torch.no_grad()
@pytest.mark.parametrize(("width", "stride"), [(12, 1), (20, 2), (20, 1)])
def test_a_basic_block_is_torchvisions(maps, width, stride):
    downsample = None
    if (width, stride) != (12, 1):
        conv = nn.Conv2d(12, width, 1, stride, bias=False)
        downsample = nn.Sequential(conv, nn.BatchNorm2d(width))
    theirs = shake(TorchvisionBasicBlock(12, width, stride, downsample))
    ours = BasicBlock(12, width, stride).eval()
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(maps), theirs(maps))


@torch.no_grad()
def test_a_splitting_unit_is_torchvisions(maps):
    theirs = shake(TorchvisionShuffle(12, 12, 1))
    torch.testing.assert_close(copy_in_order(theirs, SplitUnit(12))(maps), theirs(maps))


@torch.no_grad()
def test_a_halving_unit_is_torchvisions(maps):
    theirs = shake(TorchvisionShuffle(12, 20, 2))
    torch.testing.assert_close(copy_in_order(theirs, HalvingUnit(12, 20))(maps), theirs(maps))


@torch.no_grad()
def test_the_small_vgg_filters_like_torchvisions():
    ours = build("vgg11", images(64)).eval()
    theirs = shake(build("vgg11_bn", images(64)))
    copy_in_order(theirs.features, nn.Sequential(*(getattr(ours, f"block{n}") for n in range(5))))
    ours.eval()
    batch = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    answers = ours.classifier(theirs.features[:-1](batch).mean((2, 3)))
    torch.testing.assert_close(ours(batch), answers, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_a_wide_blocks_projection_reads_the_activated_input(maps):
    block = shake(PreactivationBlock(12, 20, 2))
    active = F.relu(norm(maps, block.bn1))
    hidden = F.relu(norm(F.conv2d(active, block.conv1.weight, stride=2, padding=1), block.bn2))
    hidden = F.conv2d(hidden, block.conv2.weight, padding=1)
    expected = hidden + F.conv2d(active, block.convShortcut.weight, stride=2)
    torch.testing.assert_close(block(maps), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_wide_block_of_equal_width_adds_its_input(maps):
    block = shake(PreactivationBlock(12, 12, 1))
    nn.init.zeros_(block.conv2.weight)
    assert torch.equal(block(maps), maps)


@torch.no_grad()
def test_an_inverted_residual_widens_filters_and_narrows(maps):
    block = shake(InvertedResidual(12, 12, 1, expansion=6))
    widen, norm_1, _, each, norm_2, _, narrow, norm_3 = block.conv
    hidden = F.relu(norm(F.conv2d(maps, widen.weight), norm_1))
    hidden = F.relu(norm(F.conv2d(hidden, each.weight, padding=1, groups=72), norm_2))
    expected = maps + norm(F.conv2d(hidden, narrow.weight), norm_3)
    torch.testing.assert_close(block(maps), expected, rtol=1e-4, atol=1e-4)
    halving = shake(InvertedResidual(12, 12, 2, expansion=6))
    nn.init.zeros_(halving.conv[7].weight)
    nn.init.zeros_(halving.conv[7].bias)
    assert not halving(maps).any()


@torch.no_grad()
@pytest.mark.parametrize("halves", [False, True])
def test_a_shuffle_v1_unit_is_the_papers(maps, halves):
    block = shake(ShuffleUnit(12, 36 if halves else 12, groups=3, halves=halves))
    stride = 2 if halves else 1
    hidden = F.relu(norm(F.conv2d(maps, block.conv1.weight, groups=3), block.bn1))
    inside = hidden.shape[1]
    order = [group * (inside // 3) + place for place in range(inside // 3) for group in range(3)]
    hidden = F.conv2d(hidden[:, order], block.conv2.weight, stride=stride, padding=1, groups=inside)
    hidden = F.conv2d(F.relu(norm(hidden, block.bn2)), block.conv3.weight, groups=3)
    hidden = norm(hidden, block.bn3)
    joined = torch.cat([hidden, F.avg_pool2d(maps, 3, 2, 1)], 1) if halves else hidden + maps
    torch.testing.assert_close(block(maps), F.relu(joined), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_an_mlp_is_linear_layers_with_relu_between(maps):
    network = build("mlp", images(6, channels=12, classes=3), hidden=[5, 4]).eval()
    first, second = (layer[0] for layer in network.layers)
    hidden = F.relu(F.linear(maps.flatten(1), first.weight, first.bias))
    hidden = F.relu(F.linear(hidden, second.weight, second.bias))
    expected = F.linear(hidden, network.head.weight, network.head.bias)
    torch.testing.assert_close(network(maps), expected)


@torch.no_grad()
def test_lenet5_is_the_papers_with_relu_and_max_pooling():
    network = build("lenet5", images(28, channels=1, classes=10)).eval()
    batch = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    weights = list(network.parameters())
    maps = F.max_pool2d(F.relu(F.conv2d(batch, *weights[:2], padding=2)), 2)
    maps = F.max_pool2d(F.relu(F.conv2d(maps, *weights[2:4])), 2)
    hidden = F.relu(F.linear(maps.flatten(1), *weights[4:6]))
    expected = F.linear(F.relu(F.linear(hidden, *weights[6:8])), *weights[8:])
    torch.testing.assert_close(network(batch), expected)
