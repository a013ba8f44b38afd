"""Which weights are pruned: masks from scores, to an exact share or a pattern of N in M."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from kdrun.compress.layer_glob import fitting
from kdrun.compress.quantize.layers import Trainable
from kdrun.core.errors import UserError

Scores = Mapping[str, Tensor]
Masks = dict[str, Tensor]  # True where a weight stays


def prunable(network: nn.Module, layers: str = "*") -> dict[str, nn.Parameter]:
    """The weights of linear layers and convolutions by name; biases and norms stay whole.

    Args:
        network: whose weights.
        layers: a glob of module paths.

    Raises:
        UserError: no such layer has a path like that.
    """
    known = [path for path, layer in network.named_modules() if _has_matrix(layer)]
    found = fitting(known, layers, "linear layer or convolution")
    names = (f"{path}.weight" if path else "weight" for path in found)
    return {name: network.get_parameter(name) for name in names}


def keep(network: nn.Module, weights: Sequence[str]) -> nn.Module:
    """What a network is changed to whose weights of these names have zeros that stay: nothing."""
    return network


def global_masks(scores: Scores, sparsity: float) -> Masks:
    """Masks that leave out the lowest scores of all weights together.

    Args:
        scores: of each weight, by name; the higher, the more it matters.
        sparsity: the share that is left out, 0 to below 1; of n weights, round(sparsity n) are.

    Raises:
        UserError: a layer would keep no weight.
    """
    flat = torch.cat([score.flatten() for score in scores.values()])
    whole = _keep(flat, sparsity)
    parts = whole.split([score.numel() for score in scores.values()])
    masks = {
        name: part.reshape(score.shape)
        for (name, score), part in zip(scores.items(), parts, strict=True)
    }
    return _refuse_empty(masks, sparsity)


def layer_masks(scores: Scores, sparsity: float) -> Masks:
    """Masks that leave out the same share of each layer's weights.

    Args:
        scores: of each weight, by name; the higher, the more it matters.
        sparsity: the share that is left out, 0 to below 1; of n weights, round(sparsity n) are.

    Raises:
        UserError: a layer would keep no weight.
    """
    masks = {
        name: _keep(score.flatten(), sparsity).reshape(score.shape)
        for name, score in scores.items()
    }
    return _refuse_empty(masks, sparsity)


def pattern_masks(scores: Scores, kept: int, of: int) -> Masks:
    """Masks that keep, of each `of` inputs in a row of an output, the `kept` of highest scores.

    The pattern that sparse tensor cores run, 2 of 4 (Mishra et al. 2021, arXiv:2104.08378). Rows
    are the weights of one output in the order (kernel, input channel), so that a group lies in the
    input channels. Layers whose inputs are no multiple of `of` are not pruned, and have no mask.
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
    """The sparsity at a fraction of the pruning, which is fast first and slow at the end.

    Zhu and Gupta 2017 (arXiv:1710.01878), equation 1: s_f + (s_i - s_f) (1 - t)^3.
    """
    return end + (start - end) * (1 - min(1.0, max(0.0, fraction))) ** 3


@torch.no_grad()
def apply_masks(network: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set the weights that are left out to 0."""
    for name, mask in masks.items():
        network.get_parameter(name).masked_fill_(~mask, 0)


def sparsity_of(masks: Mapping[str, Tensor]) -> float:
    """The share of weights that masks leave out."""
    kept = sum(int(mask.sum()) for mask in masks.values())
    return 1 - kept / sum(mask.numel() for mask in masks.values())


def _keep(scores: Tensor, sparsity: float) -> Tensor:
    """True for all but the lowest; of equal ones the first are left out."""
    order = scores.argsort(stable=True)
    mask = torch.ones_like(scores, dtype=torch.bool)
    mask[order[: round(sparsity * len(scores))]] = False
    return mask


def _refuse_empty(masks: Masks, sparsity: float) -> Masks:
    for name, mask in masks.items():
        if not mask.any():
            raise UserError(
                f"sparsity={sparsity:g} leaves no weight of {name!r}, which has {mask.numel()}.",
                "  take a lower sparsity, or leave that layer out; of scope=global, scope=layer",
            )
    return masks


def _has_matrix(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | Trainable)
