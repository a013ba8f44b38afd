"""Changes one layer of a network at a time, to measure how much accuracy depends on it."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kdrun.compress.masks import layer_masks, prunable
from kdrun.compress.quantize.weight_scales import WeightGrid, fake_quantize
from kdrun.compress.weight_scores import magnitude

SPARSITIES = (0.5, 0.8, 0.95)  # share of a layer's weights that is pruned by magnitude
BITS = (8, 4)  # bits of a layer's rounded weights, with a scale for each output channel
TRIALS = (*(f"{share:.0%} of weights 0" for share in SPARSITIES), *(f"{n} bits" for n in BITS))


class LayerTrial(NamedTuple):
    """The module path of a layer, and the one of `TRIALS` that is applied to it."""

    layer: str
    trial: str


@torch.no_grad()
def trials(network: nn.Module) -> Iterator[LayerTrial]:
    """Apply each of `TRIALS` to each layer of a network, one at a time.

    Yields:
        The layer and the trial, while the network is changed. Afterwards the network is restored.

    Raises:
        UserError: the network has no linear layer or convolution.
    """
    for name, weight in prunable(network).items():
        original = weight.detach().clone()
        try:
            for trial, changed in zip(TRIALS, _changed_weights(original), strict=True):
                weight.copy_(changed)
                yield LayerTrial(name.removesuffix(".weight"), trial)
        finally:
            weight.copy_(original)


def _changed_weights(weight: Tensor) -> Iterator[Tensor]:
    """Yield the weight after each of `TRIALS`."""
    scores = magnitude({"": weight})
    for sparsity in SPARSITIES:
        yield weight * layer_masks(scores, min(sparsity, 1 - 1 / weight.numel()))[""]
    for bits in BITS:
        yield fake_quantize(weight, WeightGrid.of(bits, symmetric=True, per_channel=True)).weight
