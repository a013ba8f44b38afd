"""Wide residual networks for small images."""

from pydantic import PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.model.image.blocks import conv1x1, conv3x3, draw_weights, name_roles


class WideResNet(nn.Module):
    """Zagoruyko and Komodakis 2016 (arXiv:1605.07146), table 1, blocks B(3,3).

    A stem of 16 channels, three stages of n pre-activation blocks at full, half and quarter size
    with 16k, 32k and 64k channels; depth 6n + 4. A stage's output is normalized only by the first
    norm of the next stage, or by the last norm. Parameters have the names of the public checkpoints
    of Tian et al. 2020 (arXiv:1910.10699).

    Args:
        depth: layers with weights, counting those of shortcuts.
        widen: the factor k.

    Raises:
        UserError: the depth is not 6n + 4.
    """

    roles = name_roles(["block1", "block2", "block3"], "fc")

    def __init__(
        self, depth: PositiveInt, widen: PositiveInt, num_classes: int, in_channels: int
    ) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 4, 6)
        if rest or blocks < 1:
            raise UserError(f"depth={depth} is not 6n + 4.", "  use 10, 16, 22, 28, 34, ...")
        self.conv1 = conv3x3(in_channels, 16)
        self.block1 = _Stage(16, 16 * widen, blocks, stride=1)
        self.block2 = _Stage(16 * widen, 32 * widen, blocks, stride=2)
        self.block3 = _Stage(32 * widen, 64 * widen, blocks, stride=2)
        self.bn1 = nn.BatchNorm2d(64 * widen)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(64 * widen, num_classes)
        draw_weights(self)
        nn.init.zeros_(self.fc.bias)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.block3(self.block2(self.block1(self.conv1(images))))
        return self.fc(self.flatten(self.pool(self.relu(self.bn1(maps)))))


class PreactivationBlock(nn.Module):
    """Norm, ReLU and 3x3 convolution, twice, and a shortcut.

    If the channels change, the shortcut is a convolution of the activated input, as in the
    authors' code; else it is the input itself.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.relu1 = nn.ReLU()
        self.conv1 = conv3x3(channels_in, channels_out, stride)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.relu2 = nn.ReLU()
        self.conv2 = conv3x3(channels_out, channels_out)
        self.convShortcut = (
            None if channels_in == channels_out else conv1x1(channels_in, channels_out, stride)
        )

    def forward(self, maps: Tensor) -> Tensor:
        active = self.relu1(self.bn1(maps))
        shortcut = maps if self.convShortcut is None else self.convShortcut(active)
        return shortcut + self.conv2(self.relu2(self.bn2(self.conv1(active))))


class _Stage(nn.Module):
    """A sequence of blocks in an attribute `layer`, as in the names of the public checkpoints."""

    def __init__(self, channels_in: int, channels_out: int, blocks: int, stride: int) -> None:
        super().__init__()
        first = PreactivationBlock(channels_in, channels_out, stride)
        others = [PreactivationBlock(channels_out, channels_out, 1) for _ in range(blocks - 1)]
        self.layer = nn.Sequential(first, *others)

    def forward(self, maps: Tensor) -> Tensor:
        return self.layer(maps)
