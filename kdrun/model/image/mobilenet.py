"""MobileNetV2 for small images, in the size that papers on distillation use for CIFAR-100."""

from typing import Annotated

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from kdrun.model.image.blocks import (
    conv1x1,
    conv3x3,
    depthwise3x3,
    draw_small_head,
    draw_weights,
    name_roles,
)

# Channels at width 1, blocks, first stride: Sandler et al. 2018 (arXiv:1801.04381), table 2.
_STAGES = ((24, 2, 1), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
_LAST_WIDTH = 1280


class SmallMobileNetV2(nn.Module):
    """Sandler et al. 2018 (arXiv:1801.04381), table 2, with stride 1 in the stage of 24 channels.

    Tian et al. 2020 (arXiv:1910.10699) and later tables of distillation results use the form of Jin
    et al. 2019 (arXiv:1904.09149): half the width, expansion 6, ReLU in place of ReLU6; images of
    32 pixels end in maps of 2x2. Parameters have the names of the public checkpoints of Tian et al.

    Args:
        width: factor on the channels of all layers except the last convolution.
        expansion: channels inside a block, as a multiple of its input channels.
    """

    roles = name_roles(["blocks.1", "blocks.2", "blocks.4", "blocks.6"], "classifier")

    def __init__(
        self,
        width: Annotated[float, Field(ge=0.1)],
        expansion: PositiveInt,
        num_classes: int,
        in_channels: int,
    ) -> None:
        super().__init__()
        channels = int(32 * width)
        self.conv1 = _conv_norm_relu(conv3x3(in_channels, channels, stride=2))
        groups = [nn.Sequential(InvertedResidual(channels, int(16 * width), 1, 1))]
        channels = int(16 * width)
        for full_width, blocks, stride in _STAGES:
            channels_out = int(full_width * width)
            groups.append(_stage(channels, channels_out, blocks, stride, expansion))
            channels = channels_out
        self.blocks = nn.Sequential(*groups)
        last = int(_LAST_WIDTH * max(1.0, width))
        self.conv2 = _conv_norm_relu(conv1x1(channels, last))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        head = nn.Linear(last, num_classes)
        self.classifier = nn.Sequential(head)
        draw_weights(self)
        draw_small_head(head)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv2(self.blocks(self.conv1(images)))
        return self.classifier(self.flatten(self.pool(maps)))


class InvertedResidual(nn.Module):
    """A 1x1 convolution to more channels, a depthwise 3x3, and a 1x1 to fewer without ReLU."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = channels_in * expansion
        self.has_shortcut = stride == 1 and channels_in == channels_out
        self.conv = nn.Sequential(
            *_conv_norm_relu(conv1x1(channels_in, inside)),
            *_conv_norm_relu(depthwise3x3(inside, stride)),
            conv1x1(inside, channels_out),
            nn.BatchNorm2d(channels_out),
        )

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.conv(maps) if self.has_shortcut else self.conv(maps)


def _conv_norm_relu(conv: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU())


def _stage(
    channels_in: int, channels_out: int, blocks: int, stride: int, expansion: int
) -> nn.Sequential:
    first = InvertedResidual(channels_in, channels_out, stride, expansion)
    others = [InvertedResidual(channels_out, channels_out, 1, expansion) for _ in range(blocks - 1)]
    return nn.Sequential(first, *others)
