"""What a network loses when one layer alone is compressed."""

from collections.abc import Iterator

import torch
from torch import nn

from kdrun.compress.masks import layer_masks, prunable
from kdrun.compress.quantize.weight_scales import WeightGrid, rounded
from kdrun.compress.weight_scores import magnitude

SHARES = (0.5, 0.8, 0.95)  # of a layer's weights that become 0
BITS = (8, 4)  # that its weights are rounded to, each output channel by its own scale
TRIALS = (*(f"{share:.0%} of weights 0" for share in SHARES), *(f"{bits} bits" for bits in BITS))


@torch.no_grad()
def trials(network: nn.Module) -> Iterator[tuple[str, str]]:
    """The network with one layer changed, once for each layer and each of `TRIALS`.

    Yields:
        The layer's path and the trial, while the network is so; afterwards it is as it was.

    Raises:
        UserError: no layer has weights to be changed.
    """
    for name, weight in prunable(network).items():
        before = weight.detach().clone()
        try:
            for trial, changed in zip(TRIALS, _changed(before), strict=True):
                weight.copy_(changed)
                yield name.removesuffix(".weight"), trial
        finally:
            weight.copy_(before)


def _changed(weight: torch.Tensor) -> Iterator[torch.Tensor]:
    scores = magnitude({"": weight})
    for share in SHARES:
        yield weight * layer_masks(scores, min(share, 1 - 1 / weight.numel()))[""]
    for bits in BITS:
        yield rounded(weight, WeightGrid.of(bits, symmetric=True, per_channel=True))[0]
