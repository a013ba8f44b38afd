"""ShuffleNet V1 and V2 for small images, as in Tian et al. 2020 (arXiv:1910.10699).

Both have a 1x1 stem of 24 channels without pooling, so that 32 pixels end in maps of 4x4.
Parameters have the names of that paper's public checkpoints.
"""

from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from kdrun.model.image.blocks import conv1x1, depthwise3x3, name_roles

_STEM = 24
_BLOCKS = (4, 8, 4)

_ROLES = name_roles(["layer1", "layer2", "layer3"], "linear")


class ShuffleNetV1(nn.Module):
    """Zhang, Zhou, Lin, Sun 2018 (arXiv:1707.01083), table 1.

    Args:
        widths: channels of the three stages.
        groups: groups of the 1x1 convolutions, except the first one of the network's first block.
    """

    roles = _ROLES

    def __init__(
        self,
        widths: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)],
        groups: PositiveInt,
        num_classes: int,
        in_channels: int,
    ) -> None:
        super().__init__()
        self.conv1 = conv1x1(in_channels, _STEM)
        self.bn1 = nn.BatchNorm2d(_STEM)
        self.relu = nn.ReLU()
        first, second, third = widths
        self.layer1 = self._stage(_STEM, first, _BLOCKS[0], groups)
        self.layer2 = self._stage(first, second, _BLOCKS[1], groups)
        self.layer3 = self._stage(second, third, _BLOCKS[2], groups)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(third, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.relu(self.bn1(self.conv1(images)))
        maps = self.layer3(self.layer2(self.layer1(maps)))
        return self.linear(self.flatten(self.pool(maps)))

    @staticmethod
    def _stage(channels_in: int, channels_out: int, blocks: int, groups: int) -> nn.Sequential:
        first = ShuffleUnit(channels_in, channels_out, groups, halves=True)
        others = [
            ShuffleUnit(channels_out, channels_out, groups, halves=False) for _ in range(blocks - 1)
        ]
        return nn.Sequential(first, *others)


class ShuffleUnit(nn.Module):
    """Figure 2 (b) and (c) of the paper: grouped 1x1, shuffle, depthwise 3x3, grouped 1x1.

    The public checkpoints also have a ReLU after the 3x3 convolution; the paper has none there.

    Args:
        halves: whether the unit halves height and width; its input is then concatenated.
    """

    def __init__(self, channels_in: int, channels_out: int, groups: int, halves: bool) -> None:
        super().__init__()
        new_channels = channels_out - channels_in if halves else channels_out
        inside = new_channels // 4
        first_groups = 1 if channels_in == _STEM else groups
        self.conv1 = conv1x1(channels_in, inside, groups=first_groups)
        self.bn1 = nn.BatchNorm2d(inside)
        self.relu1 = nn.ReLU()
        self.shuffle = nn.ChannelShuffle(first_groups)
        self.conv2 = depthwise3x3(inside, stride=2 if halves else 1)
        self.bn2 = nn.BatchNorm2d(inside)
        self.relu2 = nn.ReLU()
        self.conv3 = conv1x1(inside, new_channels, groups=groups)
        self.bn3 = nn.BatchNorm2d(new_channels)
        self.shortcut = nn.AvgPool2d(3, stride=2, padding=1) if halves else None
        self.relu3 = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        hidden = self.shuffle(self.relu1(self.bn1(self.conv1(maps))))
        hidden = self.relu2(self.bn2(self.conv2(hidden)))
        hidden = self.bn3(self.conv3(hidden))
        if self.shortcut is None:
            return self.relu3(hidden + maps)
        return self.relu3(torch.cat([hidden, self.shortcut(maps)], dim=1))


class SmallShuffleNetV2(nn.Module):
    """Ma, Zhang, Zheng, Sun 2018 (arXiv:1807.11164), table 5.

    Args:
        widths: channels of the three stages and of the last convolution.
    """

    roles = _ROLES

    def __init__(
        self,
        widths: Annotated[list[PositiveInt], Field(min_length=4, max_length=4)],
        num_classes: int,
        in_channels: int,
    ) -> None:
        super().__init__()
        self.conv1 = conv1x1(in_channels, _STEM)
        self.bn1 = nn.BatchNorm2d(_STEM)
        self.relu1 = nn.ReLU()
        first, second, third, last = widths
        self.layer1 = self._stage(_STEM, first, _BLOCKS[0])
        self.layer2 = self._stage(first, second, _BLOCKS[1])
        self.layer3 = self._stage(second, third, _BLOCKS[2])
        self.conv2 = conv1x1(third, last)
        self.bn2 = nn.BatchNorm2d(last)
        self.relu2 = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(last, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.relu1(self.bn1(self.conv1(images)))
        maps = self.layer3(self.layer2(self.layer1(maps)))
        maps = self.relu2(self.bn2(self.conv2(maps)))
        return self.linear(self.flatten(self.pool(maps)))

    @staticmethod
    def _stage(channels_in: int, channels_out: int, blocks: int) -> nn.Sequential:
        others = [SplitUnit(channels_out) for _ in range(blocks - 1)]
        return nn.Sequential(HalvingUnit(channels_in, channels_out), *others)


class SplitUnit(nn.Module):
    """Figure 3 (c) of the paper: half of the channels are convolved, the others are kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = conv1x1(half, half)
        self.bn1 = nn.BatchNorm2d(half)
        self.relu1 = nn.ReLU()
        self.conv2 = depthwise3x3(half, stride=1)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = conv1x1(half, half)
        self.bn3 = nn.BatchNorm2d(half)
        self.relu2 = nn.ReLU()
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, maps: Tensor) -> Tensor:
        unchanged, hidden = maps.chunk(2, dim=1)
        hidden = self.relu1(self.bn1(self.conv1(hidden)))
        hidden = self.bn2(self.conv2(hidden))
        hidden = self.relu2(self.bn3(self.conv3(hidden)))
        return self.shuffle(torch.cat([unchanged, hidden], dim=1))


class HalvingUnit(nn.Module):
    """Figure 3 (d) of the paper: two branches that halve height and width, concatenated."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        half = channels_out // 2
        self.conv1 = depthwise3x3(channels_in, stride=2)
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv2 = conv1x1(channels_in, half)
        self.bn2 = nn.BatchNorm2d(half)
        self.relu1 = nn.ReLU()
        self.conv3 = conv1x1(channels_in, half)
        self.bn3 = nn.BatchNorm2d(half)
        self.relu2 = nn.ReLU()
        self.conv4 = depthwise3x3(half, stride=2)
        self.bn4 = nn.BatchNorm2d(half)
        self.conv5 = conv1x1(half, half)
        self.bn5 = nn.BatchNorm2d(half)
        self.relu3 = nn.ReLU()
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, maps: Tensor) -> Tensor:
        left = self.bn1(self.conv1(maps))
        left = self.relu1(self.bn2(self.conv2(left)))
        right = self.relu2(self.bn3(self.conv3(maps)))
        right = self.bn4(self.conv4(right))
        right = self.relu3(self.bn5(self.conv5(right)))
        return self.shuffle(torch.cat([left, right], dim=1))
