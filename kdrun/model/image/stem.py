"""Adapts the first layers of torchvision's classifiers to small images and to other channels."""

from typing import Any, NamedTuple

from torch import nn

_COLORS = 3


class Stem(NamedTuple):
    """Paths of a network's first convolution, and of the max-pooling after it."""

    conv: str
    pool: str | None


STEMS = {
    "ResNet": Stem("conv1", "maxpool"),
    "DenseNet": Stem("features.conv0", "features.pool0"),
    "ShuffleNetV2": Stem("conv1.0", "maxpool"),
    "SqueezeNet": Stem("features.0", "features.2"),
    "MobileNetV2": Stem("features.0.0", None),
    "MobileNetV3": Stem("features.0.0", None),
    "EfficientNet": Stem("features.0.0", None),
    "RegNet": Stem("stem.0", None),
    "MNASNet": Stem("layers.0", None),
}


def stem_of(network: nn.Module) -> Stem | None:
    """Return the stem of a torchvision network; None for a family whose stem can't be swapped."""
    return STEMS.get(type(network).__name__)


def is_swapped(network: nn.Module) -> bool:
    """Return whether a torchvision network has the stem for small images, with stride 1."""
    stem = stem_of(network)
    return stem is not None and _conv(network, stem.conv).stride == (1, 1)


def swap_stem(network: nn.Module, stem: Stem) -> None:
    """Replace the stem by a 3x3 convolution with stride 1, without max-pooling, as for CIFAR."""
    old = _conv(network, stem.conv)
    biased = old.bias is not None
    new = nn.Conv2d(old.in_channels, old.out_channels, 3, stride=1, padding=1, bias=biased)
    _replace_conv(network, stem.conv, new)
    if stem.pool is not None:
        network.set_submodule(stem.pool, nn.Identity())


def take_channels(network: nn.Module, in_channels: int) -> None:
    """Replace the first convolution by one for images with `in_channels` channels."""
    if in_channels == _COLORS:
        return
    path = first_conv(network)
    old = _conv(network, path)
    new = nn.Conv2d(
        in_channels,
        old.out_channels,
        kernel_size=_pair(old.kernel_size),
        stride=_pair(old.stride),
        padding=_pair(old.padding),
        bias=old.bias is not None,
    )
    _replace_conv(network, path, new)


def first_conv(network: nn.Module) -> str:
    """Return the path of the first convolution."""
    modules = network.named_modules()
    return next(path for path, module in modules if isinstance(module, nn.Conv2d))


def _replace_conv(network: nn.Module, path: str, conv: nn.Conv2d) -> None:
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    network.set_submodule(path, conv)


def _conv(network: nn.Module, path: str) -> nn.Conv2d:
    conv = network.get_submodule(path)
    if not isinstance(conv, nn.Conv2d):
        raise TypeError(f"{type(network).__name__} has no convolution at {path!r}")
    return conv


def _pair(value: Any) -> tuple[int, int]:
    height, width = value
    return int(height), int(width)
