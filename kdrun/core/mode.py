"""Running networks in evaluation mode, and attention without torch's fused operator."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(*networks: nn.Module) -> Iterator[None]:
    """Switch networks to evaluation mode; on exit, restore the mode of each module."""
    modules = [module for network in networks for module in network.modules()]
    modes = [module.training for module in modules]
    for network in networks:
        network.eval()
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


@contextmanager
def unfused_attention() -> Iterator[None]:
    """Run encoder layers as common operators instead of torch's fused one; restore it on exit."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
