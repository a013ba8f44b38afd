"""Layers, initializations and settings that several networks share."""

from typing import Literal

from torch import nn

Form = Literal["auto", "cifar", "imagenet"]

_SMALL_SIDE = 64  # pixels: CIFAR (32) and Tiny ImageNet (64) are small, STL-10 (96) is not


def is_small(form: Form, image_size: tuple[int, int]) -> bool:
    """Return whether to build the form for small images; `auto` decides by the longer side."""
    if form == "auto":
        return max(image_size) <= _SMALL_SIDE
    return form == "cifar"


def name_roles(stages: list[str], head: str) -> dict[str, list[str]]:
    """Return role -> module paths: the stages, and the classifier's input and output.

    Args:
        stages: module paths, from shallow to deep.
        head: path of the classifier.
    """
    return {"stages": stages, "embedding": [f"{head}:in"], "logits": [head]}


def conv3x3(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)


def conv1x1(channels_in: int, channels_out: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 1, stride, groups=groups, bias=False)


def depthwise3x3(channels: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)


def draw_weights(network: nn.Module) -> None:
    """Initialize convolutions as He et al. 2015 (arXiv:1502.01852): variance 2 / fan-out."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def draw_small_head(head: nn.Linear) -> None:
    """Initialize a head with std 0.01: Simonyan and Zisserman 2014 (arXiv:1409.1556), 3.1."""
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
