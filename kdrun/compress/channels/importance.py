"""How much a channel matters: scores of each group's channels, the lowest of which go first.

A group's channels are made by several layers; a channel's filters are its rows in their weights
as matrices (outputs, inputs x kernel). All functions have one signature, and answer a tensor
(channels,) for each group, or None for one that they can say nothing of.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kdrun.compress.channels.groups import Group, Touched
from kdrun.compress.channels.layers import CONVOLUTION
from kdrun.core.errors import UserError

BATCH_NORM = nn.modules.batchnorm._BatchNorm
IMPORTANCES = {
    "l1": "kdrun.compress.channels.importance:l1",
    "l2": "kdrun.compress.channels.importance:l2",
    "bn_scale": "kdrun.compress.channels.importance:bn_scale",
    "fpgm": "kdrun.compress.channels.importance:fpgm",
    "taylor": "kdrun.compress.channels.importance:taylor",
    "hessian": "kdrun.compress.channels.importance:hessian",
    "random": "kdrun.compress.channels.importance:random",
}

Scores = list[Tensor | None]
Batches = Iterable[tuple[Tensor, Tensor]]
Rows = list[tuple[Tensor, Tensor]]  # (K, n) values, (K,) which channel each row is of


@dataclass(frozen=True)
class Evidence:
    """What scores are computed from, beside the weights.

    Attributes:
        seed: of random scores.
        batches: images (B, C, H, W) and labels (B,), on the network's device, where there are any.
    """

    seed: int
    batches: Batches | None = None


def l1(network: nn.Module, groups: Sequence[Group], evidence: Evidence) -> Scores:
    """Sum of |w| over a channel's filters: Li et al. 2017 (arXiv:1608.08710), section 3.1.

    Divided by its mean over the group, so that layers of many inputs compare with those of few.
    """
    return _of_filters(network, groups, lambda rows: rows.abs().sum(dim=1))


def l2(network: nn.Module, groups: Sequence[Group], evidence: Evidence) -> Scores:
    """As `l1`, with each filter's Euclidean norm: He et al. 2018 (arXiv:1808.06866)."""
    return _of_filters(network, groups, lambda rows: rows.square().sum(dim=1).sqrt())


def fpgm(network: nn.Module, groups: Sequence[Group], evidence: Evidence) -> Scores:
    """Sum over all j of ||F_i - F_j||, least next to the layer's geometric median.

    He et al. 2019 (arXiv:1811.00250), section 3: what is near the median, others can replace.
    Summed over the layers that make the channel and divided by its mean over the group.
    """
    return _of_filters(network, groups, lambda rows: torch.cdist(rows, rows).sum(dim=1))


def bn_scale(network: nn.Module, groups: Sequence[Group], evidence: Evidence) -> Scores:
    """|gamma| of the batch norms on a channel, on average: Liu et al. 2017 (arXiv:1708.06519).

    A group without a batch norm that scales has no score, so that its channels stay.

    Raises:
        UserError: the network has none at all.
    """
    found = [_of_norms(network, group, "weight") for group in groups]
    if not any(found):
        raise UserError(
            "importance=bn_scale needs batch norms with scales, and no layer that can be pruned"
            " has one.",
            "  take importance=l1, or prune before the norms are folded",
        )
    return [
        _sum(group, [(rows.abs(), to) for rows, to in norms]) / len(norms) if norms else None
        for group, norms in zip(groups, found, strict=True)
    ]


def taylor(network: nn.Module, groups: Sequence[Group], evidence: Evidence) -> Scores:
    """(sum of g w over the weights that make a channel)^2, on average over the batches.

    Molchanov et al. 2019 (arXiv:1906.10771), their first-order expansion: the squared change of
    the loss when these weights become 0, where g is the gradient of a batch's mean cross-entropy.
    The weights are the scales and shifts of the channel's batch norms, as in their Taylor-FO-BN,
    or its filters and biases where there is no such norm.

    Raises:
        UserError: there are no labeled batches.
    """
    batches = _labeled(evidence.batches, "taylor")
    return _averages(network, groups, batches, torch.mul, torch.square)


def hessian(network: nn.Module, groups: Sequence[Group], evidence: Evidence) -> Scores:
    """Sum of h w^2 / 2 over the weights that make a channel, which are the same as in `taylor`.

    LeCun, Denker, Solla 1989, "Optimal Brain Damage": the change of the loss to second order,
    with the Hessian's diagonal h alone. As in Hassibi and Stork 1992, h is the mean of squared
    gradients, one for each sample, which takes a backward pass each.

    Raises:
        UserError: there are no labeled batches.
    """
    samples = (
        (images[at : at + 1], labels[at : at + 1])
        for images, labels in _labeled(evidence.batches, "hessian")
        for at in range(len(images))
    )
    return _averages(network, groups, samples, lambda g, w: (g * w).square() / 2, lambda sums: sums)


def random(network: nn.Module, groups: Sequence[Group], evidence: Evidence) -> Scores:
    """Uniform in [0, 1): what any other importance has to be better than."""
    generator = torch.Generator().manual_seed(evidence.seed)
    return [torch.rand(group.channels, generator=generator) for group in groups]


def _of_filters(
    network: nn.Module, groups: Sequence[Group], score: Callable[[Tensor], Tensor]
) -> Scores:
    """Scores of each layer's filters, summed over the layers and divided by their mean."""
    found = []
    for group in groups:
        sums = _sum(group, [(score(rows)[:, None], to) for rows, to in _filters(network, group)])
        found.append(sums / sums.mean().clamp_min(torch.finfo(sums.dtype).tiny))
    return list(found)


def _averages(
    network: nn.Module,
    groups: Sequence[Group],
    batches: Batches,
    product: Callable[[Tensor, Tensor], Tensor],
    finish: Callable[[Tensor], Tensor],
) -> Scores:
    """The mean over batches of finish(sum of product(gradient, weight)), in evaluation mode."""
    copy = deepcopy(network).eval().requires_grad_(True)
    products = deepcopy(copy).requires_grad_(False)  # these in the place of the weights
    weights = list(copy.parameters())
    totals, count = [torch.zeros(group.channels) for group in groups], 0
    for images, labels in batches:
        with torch.enable_grad():
            loss = cross_entropy(copy(images), labels)
            gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
        for place, gradient, weight in zip(products.parameters(), gradients, weights, strict=True):
            place.copy_(product(gradient, weight.detach()))
        sums = [_sum(group, _makers(products, group)) for group in groups]
        totals = [total + finish(one) for total, one in zip(totals, sums, strict=True)]
        count += 1
    if not count:
        raise UserError("there is no batch to compute the importance of channels from.")
    return [total / count for total in totals]


def _labeled(batches: Batches | None, importance: str) -> Iterator[tuple[Tensor, Tensor]]:
    if batches is None:
        raise UserError(f"importance={importance} needs images with labels, and none were given.")
    for batch in batches:
        labels = batch[1] if isinstance(batch, tuple | list) and len(batch) == 2 else None
        if not isinstance(labels, Tensor):
            raise UserError(f"importance={importance} needs images with labels; a batch has none.")
        yield batch


def _makers(network: nn.Module, group: Group) -> Rows:
    """The weights that make a channel: those of its batch norms, else filters and biases."""
    norms = [*_of_norms(network, group, "weight"), *_of_norms(network, group, "bias")]
    return norms or [*_filters(network, group), *_biases(network, group)]


def _of_norms(network: nn.Module, group: Group, name: str) -> Rows:
    found = []
    for one in group.touched:
        module = _module(network, one)
        if isinstance(module, BATCH_NORM) and module.affine:
            found.append((getattr(module, name).detach()[one.indices, None], one.channels))
    return found


def _filters(network: nn.Module, group: Group) -> Rows:
    found = [(one, filters_of(_module(network, one))) for one in group.touched if one.makes]
    return [(rows.detach()[one.indices], one.channels) for one, rows in found if rows is not None]


def _biases(network: nn.Module, group: Group) -> Rows:
    found = [(one, _bias(_module(network, one))) for one in group.touched if one.makes]
    return [(rows.detach()[one.indices], one.channels) for one, rows in found if rows is not None]


def filters_of(module: Any) -> Tensor | None:
    """A layer's weights by output (outputs, rest); None of a module that is no such layer.

    An output of attention has a row in each of queries, keys, values and the last projection.
    """
    if isinstance(module, CONVOLUTION):
        return (module.weight.transpose(0, 1) if module.transposed else module.weight).flatten(1)
    if isinstance(module, nn.Linear):
        return module.weight
    if isinstance(module, nn.MultiheadAttention):
        thirds = module.in_proj_weight.unflatten(0, (3, -1)).transpose(0, 1).flatten(1)
        return torch.cat([thirds, module.out_proj.weight], dim=1)
    return None


def _bias(module: Any) -> Tensor | None:
    """The biases beside `filters_of` (outputs, 1 or 4)."""
    if isinstance(module, nn.MultiheadAttention) and module.in_proj_bias is not None:
        thirds = module.in_proj_bias.unflatten(0, (3, -1)).T
        return torch.cat([thirds, module.out_proj.bias[:, None]], dim=1)
    layer = isinstance(module, CONVOLUTION | nn.Linear) and module.bias is not None
    return module.bias[:, None] if layer else None


def _module(network: nn.Module, one: Touched) -> nn.Module | None:
    return network.get_submodule(one.path) if one.dim is None else None


def _sum(group: Group, rows: Rows) -> Tensor:
    """(channels,) the sum of all values of each channel."""
    first = rows[0][0]
    sums = torch.zeros(group.channels, dtype=first.dtype, device=first.device)
    for values, channels in rows:
        sums.index_add_(0, channels.to(sums.device), values.sum(dim=1))
    return sums.cpu()
