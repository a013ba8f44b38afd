"""Residual networks for small images."""

from typing import Annotated

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.model.image.blocks import conv1x1, conv3x3, draw_weights, name_roles

Widths = Annotated[list[PositiveInt], Field(min_length=4, max_length=4)]


class CifarResNet(nn.Module):
    """He, Zhang, Ren, Sun 2016 (arXiv:1512.03385), section 4.2, with projections as shortcuts.

    A 3x3 stem, then three stages of n basic blocks at full, half and quarter size; depth 6n + 2.
    Where a stage changes the shape, the shortcut is a 1x1 convolution with a norm (their option B),
    as in the CIFAR-100 networks of Tian et al. 2020 (arXiv:1910.10699), whose public checkpoints
    have the same names of parameters.

    Args:
        depth: layers with weights, not counting those of shortcuts.
        widths: channels of the stem and of the three stages.

    Raises:
        UserError: the depth is not 6n + 2.
    """

    roles = name_roles(["layer1", "layer2", "layer3"], "fc")

    def __init__(
        self, depth: PositiveInt, widths: Widths, num_classes: int, in_channels: int
    ) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise UserError(f"depth={depth} is not 6n + 2.", "  use 8, 14, 20, 26, 32, ...")
        stem, first, second, third = widths
        self.conv1 = conv3x3(in_channels, stem)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU()
        self.layer1 = _stage(stem, first, blocks, stride=1)
        self.layer2 = _stage(first, second, blocks, stride=2)
        self.layer3 = _stage(second, third, blocks, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(third, num_classes)
        draw_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.relu(self.bn1(self.conv1(images)))
        maps = self.layer3(self.layer2(self.layer1(maps)))
        return self.fc(self.flatten(self.pool(maps)))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; the last ReLU comes after the sum."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels_in, channels_out, stride)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.relu1 = nn.ReLU()
        self.conv2 = conv3x3(channels_out, channels_out)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.downsample = (
            nn.Identity()
            if stride == 1 and channels_in == channels_out
            else nn.Sequential(
                conv1x1(channels_in, channels_out, stride), nn.BatchNorm2d(channels_out)
            )
        )
        self.relu2 = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        hidden = self.relu1(self.bn1(self.conv1(maps)))
        return self.relu2(self.bn2(self.conv2(hidden)) + self.downsample(maps))


def _stage(channels_in: int, channels_out: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(channels_in, channels_out, stride)
    others = [BasicBlock(channels_out, channels_out, 1) for _ in range(blocks - 1)]
    return nn.Sequential(first, *others)
