"""Quantized networks in a form that learns, and back."""

from collections.abc import Callable
from copy import deepcopy
from typing import TypeVar

import torch
from torch import nn

from kdrun.compress.quantize.layers import Stored, Trainable
from kdrun.compress.quantize.record import keep_roles, replace

M = TypeVar("M", bound=nn.Module)


def trainable(network: nn.Module) -> nn.Module:
    """A copy whose int8 layers have float weights that learn, rounded in each forward pass.

    Its answers are the same. Weights have the names that they had before they were quantized
    (`conv1.weight`), so those of the unquantized network, norms folded, can be loaded instead.
    """
    return _replaced(network, Stored, _thaw)


def settled(network: nn.Module) -> nn.Module:
    """A copy of a trainable network with its weights stored as int8 again."""
    return _replaced(network, Trainable, _settle)


@torch.no_grad()
def _thaw(stored: Stored) -> Trainable:
    layer = Trainable(stored.form, stored.how).to(stored.scale.device)
    layer.weight.copy_(stored.weight)
    if layer.bias is not None and stored.bias is not None:
        layer.bias.copy_(stored.bias)
    layer.input_scale.copy_(stored.input_scale)
    return layer.train(stored.training)


def _settle(layer: Trainable) -> Stored:
    stored = Stored(layer.form, layer.how).to(layer.weight.device)
    stored.store(layer.weight, layer.bias, layer.input_scale)
    return stored.train(layer.training)


def _replaced(network: nn.Module, kind: type[M], make: Callable[[M], nn.Module]) -> nn.Module:
    """A copy with each module of a kind replaced by another."""
    changed = deepcopy(network)
    found = [(path, one) for path, one in changed.named_modules() if isinstance(one, kind)]
    replace(changed, {path: make(module) for path, module in found})
    return keep_roles(network, changed)
