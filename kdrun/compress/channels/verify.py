"""Whether a pruned network is the one before without some channels, and not another one."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.compress.channels.groups import STUMBLES, Group, not_followed
from kdrun.compress.channels.layers import CONVOLUTION
from kdrun.compress.channels.remove import cut_channels, places

_FAILURES: tuple[type[Exception], ...] = (*STUMBLES, RuntimeError)
# They mix channels without weights for it, so that zeros are not the same as nothing.
_MIXING = (nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm)


def refuse_misled(
    network: nn.Module, sample: Tensor, groups: Sequence[Group], gone: Sequence[Tensor]
) -> None:
    """Refuse to prune where torch-pruning was wrong about the way that channels take.

    The pruned network must answer, and what it answers must be what the whole one does when the
    layers after them read the channels as zeros; in evaluation mode, without the norms over
    several channels.

    Args:
        sample: a batch of inputs (B, C, H, W), of which the shape matters.
        gone: the channels of each group that are to go.

    Raises:
        UserError: it is not, with the groups that are to blame.
    """
    noise = torch.randn(
        1, *sample.shape[1:], dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    if _follows(network, noise, groups, gone):
        return
    alone = [one for one in groups if not _follows(network, noise, [one], [first_half(one)])]
    blamed = alone or groups
    operations = [name for group in blamed for name in group.through[:1]]
    raise not_followed([group.path for group in blamed], operations)


def _plain(network: nn.Module) -> nn.Module:
    """A copy in double precision, whose norms over several channels do nothing."""
    copy = deepcopy(network).cpu().double().eval()
    for module in copy.modules():
        if isinstance(module, _MIXING):
            module.forward = _same  # type: ignore[assignment]
    return copy


def _same(inputs: Tensor) -> Tensor:
    return inputs


def first_half(group: Group) -> Tensor:
    """The first half of each part of a group, to try."""
    starts = torch.arange(group.parts)[:, None] * group.positions
    return (starts + torch.arange(group.positions // 2)).flatten()


@torch.no_grad()
def _follows(
    network: nn.Module, noise: Tensor, groups: Sequence[Group], gone: Sequence[Tensor]
) -> bool:
    pruned, deaf = _plain(network), _plain(network)
    try:
        cut_channels(pruned, groups, gone)
        found = pruned(noise)
    except _FAILURES:
        return False
    for (path, makes, dim), indices in places(groups, gone).items():
        if dim is None:
            _deafen(deaf.get_submodule(path), makes, indices)
    wanted = deaf(noise)
    return torch.allclose(found, wanted, rtol=0, atol=1e-6 * float(wanted.abs().max()))


def _deafen(module: Any, makes: bool, indices: Tensor) -> None:
    """Set a layer's weights for these inputs to 0."""
    if isinstance(module, nn.MultiheadAttention):
        _deafen_attention(module, indices)
    elif isinstance(module, CONVOLUTION) and not module.transposed and not makes:
        size = module.in_channels // module.groups
        by_group = module.weight.unflatten(0, (module.groups, -1))
        by_group[indices // size, :, indices % size] = 0
    elif isinstance(module, CONVOLUTION | nn.Linear) and not makes:
        (module.weight if isinstance(module, CONVOLUTION) else module.weight.T)[indices] = 0


def _deafen_attention(module: Any, indices: Tensor) -> None:
    """Without these inputs, and these positions of queries, keys and values.

    Attention divides by the root of a head's width, which is another one then.
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
