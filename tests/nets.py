"""Small networks of several families, as they are after some training."""

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision import models
from torchvision.models.convnext import CNBlockConfig
from zoo import build, images

from kdrun.compress.calibrators import MinMax
from kdrun.compress.fold_batch_norm import fold_batch_norms
from kdrun.compress.quantization_grid import QuantizationGrid
from kdrun.compress.quantize.calibration import calibrate
from kdrun.compress.quantize.quantization_plan import plan_quantization
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.compress.structure_changes import CompressionResult

# The grids for which runtimes have int8 kernels, as in conf/step/quantize_static.yaml.
ACTIVATIONS = QuantizationGrid(8, symmetric=False)
WEIGHTS = WeightGrid(QuantizationGrid(8, symmetric=True), per_channel=True)
SMALL = {
    "densenet": lambda: models.DenseNet(8, (2, 2), 16, num_classes=10),
    "convnext": lambda: models.ConvNeXt([CNBlockConfig(16, 32, 1), CNBlockConfig(32, None, 1)]),
    "vit": lambda: models.VisionTransformer(32, 8, 2, 2, 24, 48, num_classes=10),
    "mobilenet_v3": lambda: models.mobilenet_v3_small(width_mult=0.25, num_classes=10),
}
OWN = ["lenet5", "mlp", "resnet8", "vgg8", "wrn_16_1", "mobilenet_v2_x0_5", "shufflenet_v2"]
NAMES = [*OWN, *SMALL]
CONVOLUTIONAL = ["resnet8", "vgg8", "mobilenet_v2_x0_5", "densenet"]


def samples(count: int, seed: int = 1) -> Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def make(name: str) -> nn.Module:
    """A network with norms and biases that do something, in evaluation mode."""
    torch.manual_seed(0)
    network = SMALL[name]() if name in SMALL else build(name, images(32, classes=10))
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
            module.momentum = 0.5
        if isinstance(module, nn.Linear):  # torchvision draws some heads as zeros
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
    network.train()
    with torch.no_grad():
        for seed in range(4):
            network(samples(8, seed))
    return network.eval()


@cache
def folded(name: str) -> nn.Module:
    """Tests share it, so they leave it as it is."""
    return fold_batch_norms(make(name))


@cache
def quantized(name: str) -> CompressionResult:
    """Static, at 8 bits; tests share it too."""
    network = folded(name)
    batches = [samples(8, seed) for seed in (1, 2)]
    return calibrate(network, plan_quantization(network), batches, MinMax(), ACTIVATIONS, WEIGHTS)


def differ(found: Tensor, expected: Tensor) -> float:
    """The size of the difference, by that of what was expected."""
    return ((found - expected).norm() / expected.norm()).item()
