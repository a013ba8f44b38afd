"""Modules with fewer channels: their weights, and the sizes that they know of themselves."""

from typing import Any

import torch
from torch import Tensor, nn

from kdrun.compress.channels.plan import put_tensor

CONVOLUTION = nn.modules.conv._ConvNd
NORM = nn.modules.batchnorm._NormBase  # batch and instance norms
PRUNABLE = (
    CONVOLUTION,
    nn.Linear,
    NORM,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.PReLU,
    nn.MultiheadAttention,
    nn.Parameter,
)
# What a network's forward reads of itself -> the parameter beside it whose last dimension it is.
_WIDTHS = {"hidden_dim": "class_token"}  # torchvision's VisionTransformer


def drop_channels(
    network: nn.Module, path: str, makes: bool, dim: int | None, gone: Tensor
) -> None:
    """Take channels out of a module, or of a parameter.

    Args:
        path: of the module, or the name of the parameter.
        makes: its outputs, else its inputs; a module that treats each channel alone has but one.
        dim: of a parameter, which dimension; None of a module.
        gone: (K,) the positions that go.
    """
    if dim is not None:
        _narrow(network, path, dim, _rest(network.get_parameter(path).shape[dim], gone))
        return
    module: Any = network.get_submodule(path)
    if isinstance(module, CONVOLUTION):
        _drop_of_convolution(module, makes, gone)
    elif isinstance(module, nn.Linear):
        _drop_of_linear(module, makes, gone)
    elif isinstance(module, nn.MultiheadAttention):
        _drop_of_attention(module, gone)
    else:
        _drop_of_each(module, gone)


def follow_widths(network: nn.Module) -> None:
    """Set the sizes that modules read of themselves to what their parameters are now."""
    for module in network.modules():
        for name, parameter in _WIDTHS.items():
            if name in vars(module) and hasattr(module, parameter):
                setattr(module, name, getattr(module, parameter).shape[-1])


def _rest(size: int, gone: Tensor) -> Tensor:
    """Which of so many positions stay, from small to large."""
    stays = torch.ones(size, dtype=torch.bool)
    stays[gone] = False
    return stays.nonzero()[:, 0]


def _narrow(module: nn.Module, name: str, dim: int, keep: Tensor) -> None:
    """Leave a parameter or buffer these positions of a dimension; where it is None, nothing."""
    path, _, own = name.rpartition(".")
    value = getattr(module.get_submodule(path), own)
    if value is not None:
        put_tensor(module, name, value.detach().index_select(dim, keep.to(value.device)))


def _drop_of_convolution(module: Any, makes: bool, gone: Tensor) -> None:
    """A weight is (outputs, inputs of a group, ...), a transposed one (inputs, outputs of ...)."""
    each = module.groups == module.in_channels == module.out_channels > 1
    keep = _rest(module.out_channels if makes or each else module.in_channels, gone)
    group = (module.out_channels if makes else module.in_channels) // module.groups
    first = each or makes != module.transposed
    _narrow(module, "weight", 0 if first else 1, keep if first else keep[keep < group])
    if makes or each:
        _narrow(module, "bias", 0, keep)
        module.out_channels = len(keep)
    if each or not makes:
        module.in_channels = len(keep)
    if each:
        module.groups = len(keep)


def _drop_of_linear(module: nn.Linear, makes: bool, gone: Tensor) -> None:
    keep = _rest(module.out_features if makes else module.in_features, gone)
    _narrow(module, "weight", 0 if makes else 1, keep)
    if makes:
        _narrow(module, "bias", 0, keep)
        module.out_features = len(keep)
    else:
        module.in_features = len(keep)


def _drop_of_attention(module: Any, gone: Tensor) -> None:
    """Queries, keys and values lie in one weight, one after the other."""
    width = module.embed_dim
    keep = _rest(width, gone)
    rows = torch.cat([keep, keep + width, keep + 2 * width])
    _narrow(module, "in_proj_weight", 0, rows)
    _narrow(module, "in_proj_weight", 1, keep)
    _narrow(module, "in_proj_bias", 0, rows)
    for name in ("bias_k", "bias_v"):
        _narrow(module, name, 2, keep)
    for makes in (True, False):
        _drop_of_linear(module.out_proj, makes, gone)
    module.embed_dim = module.kdim = module.vdim = len(keep)
    module.head_dim = len(keep) // module.num_heads


def _drop_of_each(module: Any, gone: Tensor) -> None:
    """Norms, and activations with a weight for each channel."""
    if isinstance(module, nn.PReLU) and module.num_parameters == 1:
        return
    size = "num_features" if isinstance(module, NORM) else "num_channels"
    size = "num_parameters" if isinstance(module, nn.PReLU) else size
    layer = isinstance(module, nn.LayerNorm)
    keep = _rest(module.normalized_shape[-1] if layer else getattr(module, size), gone)
    for name in ("weight", "bias", "running_mean", "running_var"):
        if hasattr(module, name):
            _narrow(module, name, -1, keep)
    if layer:
        module.normalized_shape = (*module.normalized_shape[:-1], len(keep))
    else:
        setattr(module, size, len(keep))
