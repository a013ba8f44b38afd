"""Counting the cost of a network: parameters and multiply-accumulates."""

from collections.abc import Iterator

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
    addition. Normalization, activations and pooling don't count, as is usual in papers. Recurrent
    layers that run as one fused kernel are missed.

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
    with evaluating(network), unfused_attention(), attention, torch.no_grad(), counter:
        network(sample)
    return counter.get_total_flops() // 2
