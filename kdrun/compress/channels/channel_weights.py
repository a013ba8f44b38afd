"""The weights that compute each channel of a group: filters, biases, and batch norm parameters."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kdrun.compress.channels.channel_group import ChannelGroup, GroupMember
from kdrun.compress.channels.layers import CONVOLUTION

BATCH_NORM = nn.modules.batchnorm._BatchNorm


class ChannelRows(NamedTuple):
    """Rows of values, each of which belongs to a channel.

    Attributes:
        values: (K, n) the rows.
        channels: (K,) the channel of the group that each row belongs to.
    """

    values: Tensor
    channels: Tensor


def filters(network: nn.Module, group: ChannelGroup) -> list[ChannelRows]:
    """Return the filters of a group's channels, from each layer that outputs them."""
    return _output_rows(network, group, filters_of)


def weights_or_norms(network: nn.Module, group: ChannelGroup) -> list[ChannelRows]:
    """Return scales and shifts of the channels' batch norms; without norms, filters and biases."""
    norms = [*norm_rows(network, group, "weight"), *norm_rows(network, group, "bias")]
    return norms or [*filters(network, group), *_output_rows(network, group, _biases_of)]


def norm_rows(network: nn.Module, group: ChannelGroup, parameter: str) -> list[ChannelRows]:
    """Return a parameter, `weight` or `bias`, of each batch norm on a group's channels."""
    rows = []
    for member in group.members:
        module = _module(network, member)
        if isinstance(module, BATCH_NORM) and module.affine:
            values = getattr(module, parameter).detach()[member.indices, None]
            rows.append(ChannelRows(values, member.channels))
    return rows


def sum_by_channel(group: ChannelGroup, rows: list[ChannelRows]) -> Tensor:
    """Return the sum of all values of each channel, (channels,), on the CPU."""
    first = rows[0].values
    sums = torch.zeros(group.channels, dtype=first.dtype, device=first.device)
    for values, channels in rows:
        sums.index_add_(0, channels.to(sums.device), values.sum(dim=1))
    return sums.cpu()


# The parameters below are Any, as mypy takes each attribute of an nn.Module for Tensor | Module.
def filters_of(module: Any) -> Tensor | None:
    """Return a layer's weights as a matrix (outputs, weights of an output); None for other modules.

    The weights of an output of attention are those of its query, key, value and output projection.
    """
    if isinstance(module, CONVOLUTION):
        return (module.weight.transpose(0, 1) if module.transposed else module.weight).flatten(1)
    if isinstance(module, nn.Linear):
        return module.weight
    if isinstance(module, nn.MultiheadAttention):
        qkv = module.in_proj_weight.unflatten(0, (3, -1)).transpose(0, 1).flatten(1)
        return torch.cat([qkv, module.out_proj.weight], dim=1)
    return None


def _biases_of(module: Any) -> Tensor | None:
    """Return a layer's biases as a matrix (outputs, biases of an output); None if it has none."""
    if isinstance(module, nn.MultiheadAttention) and module.in_proj_bias is not None:
        qkv = module.in_proj_bias.unflatten(0, (3, -1)).T
        return torch.cat([qkv, module.out_proj.bias[:, None]], dim=1)
    biased = isinstance(module, CONVOLUTION | nn.Linear) and module.bias is not None
    return module.bias[:, None] if biased else None


def _output_rows(
    network: nn.Module,
    group: ChannelGroup,
    matrix_of: Callable[[Any], Tensor | None],
) -> list[ChannelRows]:
    rows = []
    for member in group.members:
        if member.dimension.is_output:
            matrix = matrix_of(_module(network, member))
            if matrix is not None:
                rows.append(ChannelRows(matrix.detach()[member.indices], member.channels))
    return rows


def _module(network: nn.Module, member: GroupMember) -> nn.Module | None:
    """Return the module of a member; None if that is a parameter."""
    dimension = member.dimension
    return network.get_submodule(dimension.path) if dimension.dim is None else None
