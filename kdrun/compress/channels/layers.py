"""Remove channels from a module: from its parameters, buffers and size attributes."""

from typing import Any

import torch
from torch import Tensor, nn

from kdrun.compress.channels.channel_group import PrunedDimension
from kdrun.compress.channels.plan import set_tensor

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
# Attributes with sizes that forward methods read -> the parameter of the same module whose last
# dimension has this size.
_SIZE_ATTRIBUTES = {"hidden_dim": "class_token"}  # torchvision's VisionTransformer


def remove_indices(network: nn.Module, dimension: PrunedDimension, removed: Tensor) -> None:
    """Remove indices of a dimension, in place.

    Args:
        network: holds the module or parameter.
        dimension: inputs or outputs of a module, or a dimension of a parameter. Modules that treat
            each channel by itself, such as norms, have the same channels as input and output.
        removed: (K,) the indices to remove.
    """
    path, dim, is_output = dimension.path, dimension.dim, dimension.is_output
    if dim is not None:
        _keep_indices(
            network, path, dim, _remaining(network.get_parameter(path).shape[dim], removed)
        )
        return
    module: Any = network.get_submodule(path)
    if isinstance(module, CONVOLUTION):
        _prune_convolution(module, is_output, removed)
    elif isinstance(module, nn.Linear):
        _prune_linear(module, is_output, removed)
    elif isinstance(module, nn.MultiheadAttention):
        _prune_attention(module, removed)
    else:
        _prune_channelwise(module, removed)


def update_size_attributes(network: nn.Module) -> None:
    """Set the attributes in `_SIZE_ATTRIBUTES` to the sizes of the pruned parameters."""
    for module in network.modules():
        for name, parameter in _SIZE_ATTRIBUTES.items():
            if name in vars(module) and hasattr(module, parameter):
                setattr(module, name, getattr(module, parameter).shape[-1])


def _remaining(size: int, removed: Tensor) -> Tensor:
    """Return the indices 0 to size - 1 that are not removed, in ascending order."""
    remains = torch.ones(size, dtype=torch.bool)
    remains[removed] = False
    return remains.nonzero()[:, 0]


def _keep_indices(module: nn.Module, name: str, dim: int, indices: Tensor) -> None:
    """Keep only these indices of a parameter's or buffer's dimension; do nothing if it is None."""
    path, _, attribute = name.rpartition(".")
    tensor = getattr(module.get_submodule(path), attribute)
    if tensor is not None:
        set_tensor(module, name, tensor.detach().index_select(dim, indices.to(tensor.device)))


def _prune_convolution(module: Any, is_output: bool, removed: Tensor) -> None:
    """Prune a weight (outputs, inputs / groups, ...), or (inputs, outputs / groups, ...)."""
    depthwise = module.groups == module.in_channels == module.out_channels > 1
    size = module.out_channels if is_output or depthwise else module.in_channels
    kept = _remaining(size, removed)
    group_size = (module.out_channels if is_output else module.in_channels) // module.groups
    first_dim = depthwise or is_output != module.transposed
    _keep_indices(
        module, "weight", 0 if first_dim else 1, kept if first_dim else kept[kept < group_size]
    )
    if is_output or depthwise:
        _keep_indices(module, "bias", 0, kept)
        module.out_channels = len(kept)
    if depthwise or not is_output:
        module.in_channels = len(kept)
    if depthwise:
        module.groups = len(kept)


def _prune_linear(module: nn.Linear, is_output: bool, removed: Tensor) -> None:
    kept = _remaining(module.out_features if is_output else module.in_features, removed)
    _keep_indices(module, "weight", 0 if is_output else 1, kept)
    if is_output:
        _keep_indices(module, "bias", 0, kept)
        module.out_features = len(kept)
    else:
        module.in_features = len(kept)


def _prune_attention(module: Any, removed: Tensor) -> None:
    """Prune the width; queries, keys and values share one parameter (3 width, width)."""
    width = module.embed_dim
    kept = _remaining(width, removed)
    rows = torch.cat([kept, kept + width, kept + 2 * width])
    _keep_indices(module, "in_proj_weight", 0, rows)
    _keep_indices(module, "in_proj_weight", 1, kept)
    _keep_indices(module, "in_proj_bias", 0, rows)
    for name in ("bias_k", "bias_v"):
        _keep_indices(module, name, 2, kept)
    for is_output in (True, False):
        _prune_linear(module.out_proj, is_output, removed)
    module.embed_dim = module.kdim = module.vdim = len(kept)
    module.head_dim = len(kept) // module.num_heads


def _prune_channelwise(module: Any, removed: Tensor) -> None:
    """Prune a norm, or a PReLU with a weight for each channel."""
    if isinstance(module, nn.PReLU) and module.num_parameters == 1:
        return
    attribute = "num_features" if isinstance(module, NORM) else "num_channels"
    attribute = "num_parameters" if isinstance(module, nn.PReLU) else attribute
    is_layer_norm = isinstance(module, nn.LayerNorm)
    size = module.normalized_shape[-1] if is_layer_norm else getattr(module, attribute)
    kept = _remaining(size, removed)
    for name in ("weight", "bias", "running_mean", "running_var"):
        if hasattr(module, name):
            _keep_indices(module, name, -1, kept)
    if is_layer_norm:
        module.normalized_shape = (*module.normalized_shape[:-1], len(kept))
    else:
        setattr(module, attribute, len(kept))
