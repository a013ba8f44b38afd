"""Computes masks of pruned weights from scores: for an exact share, or for a pattern N of M."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from kdrun.compress.layer_glob import match_layers
from kdrun.compress.quantize.layers import FakeQuantizedLayer
from kdrun.core.errors import UserError

Scores = Mapping[str, Tensor]  # by the name of a weight; the lowest are pruned first
Masks = dict[str, Tensor]  # by the name of a weight; False where it is pruned


def prunable(network: nn.Module, layers: str = "*") -> dict[str, nn.Parameter]:
    """Return the weights of linear layers and convolutions by name: only these can be pruned.

    Args:
        network: the network to prune.
        layers: a glob of module paths.

    Raises:
        UserError: no linear layer or convolution matches the glob.
    """
    all_paths = [path for path, layer in network.named_modules() if _is_prunable(layer)]
    paths = match_layers(all_paths, layers, "linear layer or convolution")
    names = (f"{path}.weight" if path else "weight" for path in paths)
    return {name: network.get_parameter(name) for name in names}


def keep_structure(network: nn.Module, weights: Sequence[str]) -> nn.Module:
    """Return the network unchanged, because zeros in its weights don't change its structure."""
    return network


def global_masks(scores: Scores, sparsity: float) -> Masks:
    """Prune the lowest scores of all layers together.

    Args:
        scores: scores of each layer's weights.
        sparsity: the share of all n weights to prune, 0 to below 1: round(sparsity n) of them.

    Raises:
        UserError: a layer would lose all its weights.
    """
    flat = torch.cat([score.flatten() for score in scores.values()])
    flat_masks = _keep_highest(flat, sparsity).split([score.numel() for score in scores.values()])
    masks = {
        name: mask.reshape(score.shape)
        for (name, score), mask in zip(scores.items(), flat_masks, strict=True)
    }
    return _require_nonempty(masks, sparsity)


def layer_masks(scores: Scores, sparsity: float) -> Masks:
    """Prune the same share of each layer's weights, those with the lowest scores.

    Args:
        scores: scores of each layer's weights.
        sparsity: the share of each layer's n weights to prune, 0 to below 1: round(sparsity n).

    Raises:
        UserError: a layer would lose all its weights.
    """
    masks = {
        name: _keep_highest(score.flatten(), sparsity).reshape(score.shape)
        for name, score in scores.items()
    }
    return _require_nonempty(masks, sparsity)


def pattern_masks(scores: Scores, kept: int, of: int) -> Masks:
    """Keep the highest scores in each group of consecutive input channels.

    With 2 of 4, this is the pattern that sparse tensor cores compute: Mishra et al. 2021
    (arXiv:2104.08378). A layer whose number of input channels isn't a multiple of `of` gets no mask
    and is not pruned.

    Args:
        scores: scores of each layer's weights (outputs, inputs, ...).
        kept: weights to keep in each group.
        of: weights in a group: consecutive input channels of one output and kernel position.
    """
    masks = {}
    for name, score in scores.items():
        if score.shape[1] % of:
            continue
        rows = score.movedim(1, -1)
        groups = rows.reshape(*rows.shape[:-1], -1, of)
        order = groups.argsort(dim=-1, descending=True, stable=True)
        mask = torch.zeros_like(groups, dtype=torch.bool).scatter(-1, order[..., :kept], True)
        masks[name] = mask.reshape(rows.shape).movedim(-1, 1).contiguous()
    return masks


def cubic(start: float, end: float, fraction: float) -> float:
    """Return the sparsity at a fraction of the pruning time; it rises fast at first, then slowly.

    Zhu and Gupta 2017 (arXiv:1710.01878), equation 1: s_f + (s_i - s_f) (1 - t)^3, with s_i the
    start, s_f the end and t the fraction, which is clipped to 0..1.
    """
    return end + (start - end) * (1 - min(1.0, max(0.0, fraction))) ** 3


@torch.no_grad()
def apply_masks(network: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set the pruned weights to 0, in place."""
    for name, mask in masks.items():
        network.get_parameter(name).masked_fill_(~mask, 0)


def sparsity_of(masks: Mapping[str, Tensor]) -> float:
    """Return the share of weights that the masks prune."""
    kept = sum(int(mask.sum()) for mask in masks.values())
    return 1 - kept / sum(mask.numel() for mask in masks.values())


def _keep_highest(scores: Tensor, sparsity: float) -> Tensor:
    """Return a mask that prunes a share of the scores (N,): the lowest, and the first if equal."""
    order = scores.argsort(stable=True)
    mask = torch.ones_like(scores, dtype=torch.bool)
    mask[order[: round(sparsity * len(scores))]] = False
    return mask


def _require_nonempty(masks: Masks, sparsity: float) -> Masks:
    for name, mask in masks.items():
        if not mask.any():
            raise UserError(
                f"sparsity={sparsity:g} leaves no weight of {name!r}, which has {mask.numel()}.",
                "  take a lower sparsity, or leave that layer out; or scope=layer, if it is global",
            )
    return masks


def _is_prunable(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | FakeQuantizedLayer)
