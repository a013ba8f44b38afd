"""What a network costs before it runs: numbers, multiplications, bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from kdrun.measure.mode import evaluating


def parameters(network: nn.Module) -> int:
    """How many numbers training may change; shared ones count once, buffers don't.

    Weights that are stored as whole numbers count as what they stand for.
    """
    return sum(weight.numel() for weight in _weights(network))


def nonzero_parameters(network: nn.Module) -> int:
    """How many of them are not 0, as unstructured pruning leaves them."""
    return sum(int(weight.count_nonzero()) for weight in _weights(network))


def _weights(network: nn.Module) -> Iterator[Tensor]:
    yield from network.parameters()
    for module in network.modules():
        yield from getattr(module, "dequantized", ())


def macs(network: nn.Module, input_shape: tuple[int, ...], device: torch.device) -> int:
    """Multiply-accumulate operations of convolutions and matrix products for one sample.

    Half of what torch's FlopCounterMode counts: it takes a multiplication and an addition for
    two. Normalization, activations and pooling are left out, as the papers do. Recurrent
    layers that run as one fused kernel are not seen.

    Args:
        network: it lies on `device`; "meta" counts without computing.
        input_shape: of one sample, without the batch: (C, H, W).
    """
    dtypes = [parameter.dtype for parameter in network.parameters()]
    sample = torch.zeros(1, *input_shape, device=device, dtype=dtypes[0] if dtypes else None)
    counter = FlopCounterMode(display=False)
    with evaluating(network), _open_attention(), torch.no_grad(), counter:
        network(sample)
    return counter.get_total_flops() // 2


def bytes_on_disk(path: Path) -> int:
    """The size of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


@contextmanager
def _open_attention() -> Iterator[None]:
    """Attention as plain matrix products: the counter doesn't know all of its fused forms."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)
