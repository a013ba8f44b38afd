"""Scores of single weights: those with the lowest scores are pruned first."""

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.compress.masks import Scores
from kdrun.core.inputs.types import Inputs

Batches = Iterable[tuple[Inputs, Tensor]]  # inputs of the network, labels (B,)


def magnitude(weights: Mapping[str, Tensor]) -> Scores:
    """Score by |w|: Han, Pool, Tran, Dally 2015 (arXiv:1506.02626)."""
    return {name: weight.detach().abs() for name, weight in weights.items()}


def random(weights: Mapping[str, Tensor], generator: torch.Generator) -> Scores:
    """Score at random, uniform in (0, 1], as a baseline; weights that are 0 get the score 0."""
    uniform = {name: torch.rand(w.shape, generator=generator) for name, w in weights.items()}
    return {
        name: (1 - uniform[name]).to(weight.device) * (weight.detach() != 0)
        for name, weight in weights.items()
    }


def taylor(network: nn.Module, weights: Mapping[str, nn.Parameter], batches: Batches) -> Scores:
    """Score by (g w)^2, averaged over batches: Molchanov et al. 2019 (arXiv:1906.10771), eq. 8.

    To first order, this is the squared change of the cross-entropy if the weight became 0.

    Args:
        network: the network, in the mode to score it in; `.grad` of its parameters is not changed.
        weights: parameters of the network by name.
        batches: inputs with labels.
    """
    sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    count = 0
    for inputs, labels in batches:
        loss = F.cross_entropy(network(inputs), labels)
        gradients = torch.autograd.grad(loss, list(weights.values()))
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
            sums[name] += (gradient * weight.detach()).square()
        count += 1
    return {name: total / max(1, count) for name, total in sums.items()}
