"""Removes units of the feed-forward parts of a transformer encoder."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.compress.encoder_layers import FeedForward, encoder_config, feed_forward_parts
from kdrun.compress.weight_scores import Batches

Scores = Mapping[FeedForward, Tensor]  # (units,) of each part


def feed_forward_structure(network: nn.Module, units: int) -> nn.Module:
    """Replace the feed-forward layers by empty ones with fewer units, in place.

    Args:
        network: a transformer encoder.
        units: number of units of each part.
    """
    for part in feed_forward_parts(network):
        incoming: Any = network.get_submodule(part.incoming)
        outgoing: Any = network.get_submodule(part.outgoing)
        options = {"device": incoming.weight.device, "dtype": incoming.weight.dtype}
        smaller = nn.Linear(incoming.in_features, units, **options)
        network.set_submodule(part.incoming, smaller.train(incoming.training))
        smaller = nn.Linear(units, outgoing.out_features, **options)
        network.set_submodule(part.outgoing, smaller.train(outgoing.training))
    if (config := encoder_config(network)) is not None:
        key = "hidden_dim" if config.model_type == "distilbert" else "intermediate_size"
        setattr(config, key, units)
    return network


@torch.no_grad()
def prune_units(network: nn.Module, scores: Scores, units: int) -> None:
    """Keep the units with the highest scores, in place.

    Args:
        network: a transformer encoder.
        scores: of the units of each of its feed-forward parts.
        units: number of units of each part that are kept.
    """
    whole: dict[FeedForward, tuple[Any, Any]] = {
        part: (network.get_submodule(part.incoming), network.get_submodule(part.outgoing))
        for part in scores
    }
    feed_forward_structure(network, units)
    for part, (incoming, outgoing) in whole.items():
        order = scores[part].argsort(descending=True, stable=True)
        kept = order[:units].sort().values
        smaller: Any = network.get_submodule(part.incoming)
        smaller.weight.copy_(incoming.weight[kept])
        smaller.bias.copy_(incoming.bias[kept])
        smaller = network.get_submodule(part.outgoing)
        smaller.weight.copy_(outgoing.weight[:, kept])
        smaller.bias.copy_(outgoing.bias)


@torch.no_grad()
def unit_magnitude(network: nn.Module, parts: Sequence[FeedForward]) -> Scores:
    """Score by the norm of the incoming weights times that of the outgoing weights."""
    layers: Any = {part: [network.get_submodule(path) for path in part] for part in parts}
    return {
        part: incoming.weight.norm(dim=1) * outgoing.weight.norm(dim=0)
        for part, (incoming, outgoing) in layers.items()
    }


def unit_taylor(network: nn.Module, parts: Sequence[FeedForward], batches: Batches) -> Scores:
    """Score by (sum of g w)^2 over incoming weights: Molchanov et al. 2019 (arXiv:1906.10771).

    The squares are summed over batches.
    """
    weights: Any = [network.get_submodule(part.incoming).weight for part in parts]
    sums = {
        part: torch.zeros_like(weight[:, 0]) for part, weight in zip(parts, weights, strict=True)
    }
    for inputs, labels in batches:
        loss = F.cross_entropy(network(inputs), labels)
        gradients = torch.autograd.grad(loss, weights)
        for part, weight, gradient in zip(parts, weights, gradients, strict=True):
            sums[part] += (gradient * weight.detach()).sum(1).square()
    return sums
