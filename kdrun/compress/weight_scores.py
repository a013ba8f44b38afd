"""How much single weights matter: the higher the score, the later a weight is pruned."""

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.compress.masks import Scores

Batches = Iterable[tuple[Tensor, Tensor]]  # images (B, C, H, W), labels (B,)


def magnitude(weights: Mapping[str, Tensor]) -> Scores:
    """|w|: Han, Pool, Tran, Dally 2015 (arXiv:1506.02626)."""
    return {name: weight.detach().abs() for name, weight in weights.items()}


def random(weights: Mapping[str, Tensor], generator: torch.Generator) -> Scores:
    """What any other score is held against: above 0, but for weights that are 0 by now."""
    drawn = {name: torch.rand(one.shape, generator=generator) for name, one in weights.items()}
    return {
        name: (1 - drawn[name]).to(weight.device) * (weight.detach() != 0)
        for name, weight in weights.items()
    }


def taylor(network: nn.Module, weights: Mapping[str, nn.Parameter], batches: Batches) -> Scores:
    """(g w)^2, averaged over batches: Molchanov et al. 2019 (arXiv:1906.10771), equation 8.

    The squared change of the cross-entropy, to the first order, if the weight became 0.

    Args:
        network: in the mode that it is used in; its gradients are as they were afterwards.
        weights: its own, by name.
        batches: images with labels.
    """
    sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    count = 0
    for images, labels in batches:
        loss = F.cross_entropy(network(images), labels)
        found = torch.autograd.grad(loss, list(weights.values()))
        for (name, weight), slope in zip(weights.items(), found, strict=True):
            sums[name] += (slope * weight.detach()).square()
        count += 1
    return {name: total / max(1, count) for name, total in sums.items()}
