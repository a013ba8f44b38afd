"""Scores of the heads, feed-forward units and layers of a transformer encoder.

Those with the lowest scores are pruned. Shapes: B texts, T tokens, C channels.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.compress.encoder_layers import EncoderLayer, encoder_layers, head_width
from kdrun.core.inputs.types import Inputs
from kdrun.core.mode import evaluating

Scores = list[Tensor]  # for each layer
Batches = Iterable[tuple[Inputs, Tensor]]


def head_magnitudes(network: nn.Module) -> Scores:
    """Score each head (heads,) by the Euclidean norm of its weights in all four projections."""
    return [
        _squares(network, (layer.query, layer.key, layer.value), (layer.mix,))
        .unflatten(0, (-1, head_width(network, layer)))
        .sum(1)
        .sqrt()
        for layer in encoder_layers(network)
    ]


def unit_magnitudes(network: nn.Module) -> Scores:
    """Score each unit (units,) by the product of the norms of its incoming and outgoing weights."""
    return [
        _squares(network, (layer.widen,), ()).sqrt() * _squares(network, (), (layer.narrow,)).sqrt()
        for layer in encoder_layers(network)
    ]


def head_sensitivities(network: nn.Module, batches: Batches) -> Scores:
    """Score each head (heads,) by the change of the loss without it, to first order.

    Michel, Levy, Neubig 2019 (arXiv:1905.10650), eq. 2: the mean over texts of |h . dL/dh|, with
    the head's outputs h at all tokens.
    """
    widths = [head_width(network, layer) for layer in encoder_layers(network)]

    def score(products: Tensor, number: int) -> Tensor:
        return products.sum(1).unflatten(1, (-1, widths[number])).sum(2).abs().sum(0)

    return _sensitivities(network, batches, lambda layer: layer.mix, score)


def unit_sensitivities(network: nn.Module, batches: Batches) -> Scores:
    """Score each feed-forward unit (units,) as `head_sensitivities` does.

    Molchanov et al. 2017 (arXiv:1611.06440), eq. 8, summed over the tokens of a text.
    """

    def score(products: Tensor, _: int) -> Tensor:
        return products.sum(1).abs().sum(0)

    return _sensitivities(network, batches, lambda layer: layer.narrow, score)


@torch.no_grad()
def layer_influences(
    network: nn.Module, batches: Iterable[Inputs], layers: nn.ModuleList
) -> Tensor:
    """Score each layer (layers,) by 1 - cos(input, output), averaged over the tokens.

    Men et al. 2024 (arXiv:2403.03853), the block influence. Batches have no padding.
    """
    distances: list[list[Tensor]] = [[] for _ in layers]

    def measure(number: int, _: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        states = output[0] if isinstance(output, tuple) else output
        cosines = F.cosine_similarity(given[0].float(), states.float(), dim=-1)
        distances[number].append(1 - cosines.flatten().cpu())

    with ExitStack() as stack, evaluating(network):
        for number, layer in enumerate(layers):
            handle = layer.register_forward_hook(partial(measure, number))
            stack.callback(handle.remove)
        for inputs in batches:
            network(inputs)
    return torch.stack([torch.cat(layer).mean() for layer in distances])


def _sensitivities(
    network: nn.Module,
    batches: Batches,
    tap: Callable[[EncoderLayer], str],
    score: Callable[[Tensor, int], Tensor],
) -> Scores:
    """Return the sum over batches of score(activation x gradient (B, T, C), number of the layer).

    Args:
        network: the network, in float; it is left unchanged.
        batches: inputs with labels.
        tap: chooses the linear layer whose input is the activation.
        score: computes the scores of a layer.
    """
    paths = [tap(layer) for layer in encoder_layers(network)]
    inputs_of: dict[str, Tensor] = {}
    totals: Scores = []

    def keep(path: str, _: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor]:
        # There is a gradient even where no weight before the layer learns.
        inputs_of[path] = given[0] if given[0].requires_grad else given[0].requires_grad_()
        return (inputs_of[path],)

    with ExitStack() as stack, evaluating(network), torch.enable_grad():
        for path in paths:
            handle = network.get_submodule(path).register_forward_pre_hook(partial(keep, path))
            stack.callback(handle.remove)
        for inputs, labels in batches:
            loss = F.cross_entropy(network(inputs).float(), labels, reduction="sum")
            activations = [inputs_of[path] for path in paths]
            gradients = torch.autograd.grad(loss, activations)
            pairs = zip(activations, gradients, strict=True)
            scores = [
                score((activation * gradient).detach(), number).cpu()
                for number, (activation, gradient) in enumerate(pairs)
            ]
            totals = [a + b for a, b in zip(totals, scores, strict=True)] if totals else scores
    return totals


def _squares(network: nn.Module, rows: Sequence[str], columns: Sequence[str]) -> Tensor:
    """Return the sum of squares of the outputs of some linear layers and the inputs of others."""
    # Any, as mypy takes each attribute of an nn.Module for a tensor or a module.
    weights: list[Any] = [network.get_submodule(path) for path in (*rows, *columns)]
    sums = [
        layer.weight.detach().square().sum(1 if number < len(rows) else 0)
        for number, layer in enumerate(weights)
    ]
    return torch.stack(sums).sum(0).cpu()
