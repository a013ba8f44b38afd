"""Verify that channel pruning computes what it should, as torch-pruning can be wrong."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.compress.channels.channel_group import ChannelGroup
from kdrun.compress.channels.dependency_graph import TORCH_PRUNING_ERRORS, cannot_follow
from kdrun.compress.channels.layers import CONVOLUTION
from kdrun.compress.channels.remove import remove_channels, removed_indices
from kdrun.core.inputs.types import Inputs, take

_FAILURES: tuple[type[Exception], ...] = (*TORCH_PRUNING_ERRORS, RuntimeError)
# These norms compute statistics over several channels, so a channel of zeros changes their output
# while a removed channel does not.
_CROSS_CHANNEL_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm)


def verify_pruning(
    network: nn.Module,
    sample: Inputs,
    groups: Sequence[ChannelGroup],
    removed: Sequence[Tensor],
) -> None:
    """Check that removing channels from a network has the same effect as ignoring them.

    The output of the pruned network is compared with that of an unpruned copy in which the layers
    that read the channels have input weights of 0 for them. Both run in evaluation mode and float64
    on one random input, with norms over several channels replaced by identities.

    Args:
        network: the unpruned network; it is left unchanged.
        sample: a batch of inputs; of images only the shape is used.
        groups: groups of channels.
        removed: for each group, the channels to remove.

    Raises:
        UserError: the outputs differ or the pruned network can't run. The message names the groups
            that fail when they are pruned alone, or all groups if none does.
    """
    noise = _one_sample(sample)
    if _removing_equals_ignoring(network, noise, groups, removed):
        return
    failing_alone = [
        group
        for group in groups
        if not _removing_equals_ignoring(network, noise, [group], [first_half(group)])
    ]
    failing = failing_alone or groups
    operations = [name for group in failing for name in group.operations[:1]]
    raise cannot_follow([group.path for group in failing], operations)


def _one_sample(sample: Inputs) -> Inputs:
    """Return one image of float64 noise, or the first of the texts."""
    if not isinstance(sample, Tensor):
        return take(sample, slice(1))
    random = torch.Generator().manual_seed(0)
    return torch.randn(1, *sample.shape[1:], dtype=torch.float64, generator=random)


def first_half(group: ChannelGroup) -> Tensor:
    """Return the first half of the channels in each block of a group, as a trial of pruning."""
    block_starts = torch.arange(group.blocks)[:, None] * group.block_size
    return (block_starts + torch.arange(group.block_size // 2)).flatten()


@torch.no_grad()
def _removing_equals_ignoring(
    network: nn.Module,
    noise: Inputs,
    groups: Sequence[ChannelGroup],
    removed: Sequence[Tensor],
) -> bool:
    pruned, zeroed = _comparable_copy(network), _comparable_copy(network)
    try:
        remove_channels(pruned, groups, removed)
        output = pruned(noise)
    except _FAILURES:
        return False
    for dimension, indices in removed_indices(groups, removed).items():
        if dimension.dim is None:
            module = zeroed.get_submodule(dimension.path)
            _zero_input_weights(module, dimension.is_output, indices)
    expected = zeroed(noise)
    return torch.allclose(output, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))


def _comparable_copy(network: nn.Module) -> nn.Module:
    """Return a copy on the CPU in float64, whose norms over several channels are identities."""
    copy = deepcopy(network).cpu().double().eval()
    for module in copy.modules():
        if isinstance(module, _CROSS_CHANNEL_NORMS):
            module.forward = _identity  # type: ignore[assignment]
    return copy


def _identity(inputs: Tensor) -> Tensor:
    return inputs


def _zero_input_weights(module: Any, is_output: bool, indices: Tensor) -> None:
    """Set a layer's weights for these inputs to 0. Do nothing if the indices are its outputs."""
    if isinstance(module, nn.MultiheadAttention):
        _zero_attention_weights(module, indices)
    elif isinstance(module, CONVOLUTION) and not module.transposed and not is_output:
        group_size = module.in_channels // module.groups
        by_group = module.weight.unflatten(0, (module.groups, -1))
        by_group[indices // group_size, :, indices % group_size] = 0
    elif isinstance(module, CONVOLUTION | nn.Linear) and not is_output:
        (module.weight if isinstance(module, CONVOLUTION) else module.weight.T)[indices] = 0


def _zero_attention_weights(module: Any, indices: Tensor) -> None:
    """Set the weights for these inputs, queries, keys and values to 0.

    Attention divides its logits by the root of a head's width, which pruning reduces. The queries
    are scaled up to make up for that.
    """
    width = module.embed_dim
    module.in_proj_weight[:, indices] = 0
    for start in (0, width, 2 * width):
        module.in_proj_weight[indices + start] = 0
        if module.in_proj_bias is not None:
            module.in_proj_bias[indices + start] = 0
    scale = (width / (width - len(indices))) ** 0.5
    module.in_proj_weight[:width] *= scale
    if module.in_proj_bias is not None:
        module.in_proj_bias[:width] *= scale
