"""Switching networks to evaluation mode and back."""

from collections.abc import Iterator
from contextlib import contextmanager

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
