"""Counting the cost of a network: parameters and multiply-accumulates."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from kdrun.core.inputs.types import Inputs
from kdrun.core.mode import evaluating, unfused_attention


def parameters(network: nn.Module) -> int:
    """Return the number of parameters; shared parameters count once, buffers don't count.

    A weight that is quantized to integers counts as the float weight that it stands for.
    """
    return sum(weight.numel() for weight in _weights(network))


def nonzero_parameters(network: nn.Module) -> int:
    """Return the number of parameters that are not 0."""
    return sum(int(weight.count_nonzero()) for weight in _weights(network))


def _weights(network: nn.Module) -> Iterator[Tensor]:
    """Yield the parameters, and the dequantized weights of quantized modules."""
    yield from network.parameters()
    for module in network.modules():
        yield from getattr(module, "dequantized", ())


def macs(network: nn.Module, sample: Inputs) -> int:
    """Return the multiply-accumulates of convolutions and matrix products for one sample.

    These are half of what torch's FlopCounterMode counts, as it counts the multiplication and the
    addition. Normalization, activations, pooling and embeddings don't count, as is usual in papers.
    Of a recurrent layer the products of weights count, which torch misses in fused kernels: for
    each direction, text and token k (inputs + hidden) hidden, with k = 4 in an LSTM, 3 in a GRU.

    Args:
        network: the network.
        sample: the inputs of one sample, on the device of the network; on "meta", nothing is
            computed.
    """
    if isinstance(sample, Tensor):
        dtypes = [parameter.dtype for parameter in network.parameters()]
        sample = sample.to(dtypes[0] if dtypes else sample.dtype)
    counter = FlopCounterMode(display=False)
    # Attention as plain matrix products, as the counter misses some fused kernels.
    attention = sdpa_kernel(SDPBackend.MATH)
    with (
        evaluating(network),
        unfused_attention(),
        attention,
        torch.no_grad(),
        _constant_weights(network),
        _counting_recurrence(network) as recurrent,
        counter,
    ):
        network(sample)
    return counter.get_total_flops() // 2 + sum(recurrent)


@contextmanager
def _constant_weights(network: nn.Module) -> Iterator[None]:
    """Make no parameter require a gradient: views of those that do fail in torch's counter."""
    learning = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in learning:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in learning:
            weight.requires_grad_()


@contextmanager
def _counting_recurrence(network: nn.Module) -> Iterator[list[int]]:
    """Collect the multiply-accumulates of recurrent layers, which compute nothing meanwhile."""
    counts: list[int] = []
    layers = [module for module in network.modules() if isinstance(module, nn.RNNBase)]
    for layer in layers:
        layer.forward = partial(_blank_states, layer, counts)
    try:
        yield counts
    finally:
        for layer in layers:
            del layer.forward


# Any: the states, a tensor for a GRU and two for an LSTM.
def _blank_states(layer: nn.RNNBase, counts: list[int], x: Tensor, states: Any = None) -> Any:
    """Count the products of a recurrent layer, and return zeros of the shapes of its outputs."""
    weights = [value for name, value in layer.named_parameters() if name.startswith("weight_")]
    tokens = x[..., 0].numel()
    counts.append(tokens * sum(weight.numel() for weight in weights))
    directions = 2 if layer.bidirectional else 1
    out = layer.proj_size or layer.hidden_size
    batch = x.shape[0 if layer.batch_first else 1]
    output = x.new_zeros(*x.shape[:-1], out * directions)
    last = x.new_zeros(layer.num_layers * directions, batch, out)
    cell = x.new_zeros(layer.num_layers * directions, batch, layer.hidden_size)
    return output, (last, cell) if isinstance(layer, nn.LSTM) else last
