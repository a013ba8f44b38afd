"""Small networks of each family, and helpers to prune their channels."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import ConvNeXt, DenseNet, MobileNetV2, ResNet, VisionTransformer
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.resnet import Bottleneck
from zoo import build, images

from kdrun.compress.channels.importance import ScoringInputs
from kdrun.compress.channels.prune import PruningCriterion, prune_channels

SIDE = 32


def convnext() -> nn.Module:
    blocks = [CNBlockConfig(16, 24, 1), CNBlockConfig(24, None, 2)]
    return ConvNeXt(blocks, num_classes=10)


def vit() -> nn.Module:
    network = VisionTransformer(SIDE, 8, 2, 4, hidden_dim=32, mlp_dim=48, num_classes=10)
    nn.init.normal_(network.heads.head.weight)  # torchvision starts it at 0
    return network


def grouped() -> nn.Module:
    """Grouped and transposed convolutions, a group norm, and a PReLU with a slope per channel."""
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, stride=4),
        nn.GroupNorm(4, 24),
        nn.PReLU(24),
        nn.Conv2d(24, 16, 3, groups=2),
        nn.PReLU(),
        nn.ConvTranspose2d(16, 12, 3),
        nn.InstanceNorm2d(12, affine=True, track_running_stats=True),
        nn.Conv2d(12, 12, 3, groups=12),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(48, 20),
        nn.Linear(20, 10),
    )


def folded() -> nn.Module:
    """resnet8 without batch norms, with biases instead."""
    network = build("resnet8", images(SIDE, classes=10))
    for path, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            network.set_submodule(path, nn.Identity())
        if isinstance(module, nn.Conv2d):
            module.bias = nn.Parameter(torch.randn(module.out_channels))
    return network


def of_ours(name: str) -> Callable[[], nn.Module]:
    return lambda: build(name, images(SIDE, classes=10))


FAMILIES: dict[str, Callable[[], nn.Module]] = {
    **{name: of_ours(name) for name in ("resnet20", "vgg8", "mobilenet_v2_x0_5", "wrn_16_1")},
    "resnet18": of_ours("resnet18"),
    "bottleneck": lambda: ResNet(Bottleneck, [1, 1, 1, 1], num_classes=10),
    "mobilenet_v2": lambda: MobileNetV2(num_classes=10, width_mult=0.25),
    "densenet": lambda: DenseNet(6, (2, 3), 8, num_classes=10),
    "convnext": convnext,
    "vit": vit,
    "grouped": grouped,
    "folded": folded,
}


def made(name: str) -> nn.Module:
    """The network of a family, with random values in all parameters and buffers of norms."""
    torch.manual_seed(0)
    network = FAMILIES[name]()
    for module in network.modules():
        for part in ("weight", "bias", "running_mean", "running_var"):
            value = getattr(module, part, None)
            if type(module).__name__.endswith("Norm2d") and value is not None:
                nn.init.uniform_(value, 0.5, 1.5)
    return network


def choice(**changed: Any) -> PruningCriterion:
    settings = {"importance": "l1", "scope": "uniform", "round_to": 1, "skip": ()}
    return PruningCriterion(**{**settings, **changed})


def sample(batch: int = 1) -> Tensor:
    return torch.zeros(batch, 3, SIDE, SIDE)


def labeled(batches: int = 2, size: int = 4) -> Sequence[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(7)
    return [
        (
            torch.randn(size, 3, SIDE, SIDE, generator=generator),
            torch.randint(10, (size,), generator=generator),
        )
        for _ in range(batches)
    ]


def prune(network: nn.Module, ratio: float = 0.5, seed: int = 0, **changed: Any) -> nn.Module:
    batches = labeled() if changed.get("importance") in ("taylor", "hessian") else None
    return prune_channels(network, sample(), ratio, choice(**changed), ScoringInputs(seed, batches))
