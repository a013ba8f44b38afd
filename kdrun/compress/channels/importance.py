"""Importance scores of channels: those with the lowest scores are pruned first.

Each function scores the channels of all groups. It returns a tensor (channels,) for each group, or
None for a group that it can't score. The filter of a channel is its row in the weight of a layer as
a matrix (outputs, inputs x kernel); several layers may output the same channel.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kdrun.compress.channels.channel_group import ChannelGroup
from kdrun.compress.channels.channel_weights import (
    ChannelRows,
    filters,
    norm_rows,
    sum_by_channel,
    weights_or_norms,
)
from kdrun.core.errors import UserError
from kdrun.core.inputs.types import Inputs, take

Scores = list[Tensor | None]
Batches = Iterable[tuple[Inputs, Tensor]]


@dataclass(frozen=True)
class ScoringInputs:
    """What scores may be computed from, besides the network.

    Attributes:
        seed: seed of random scores.
        batches: inputs and labels (B,) on the network's device; None if there are no labels.
    """

    seed: int
    batches: Batches | None = None


def l1(network: nn.Module, groups: Sequence[ChannelGroup], inputs: ScoringInputs) -> Scores:
    """Score by the sum of |w| over a channel's filters: Li et al. 2017 (arXiv:1608.08710), 3.1.

    Divided by the mean over the group's channels, so that groups of large and of small layers can
    be compared.
    """
    return _score_filters(network, groups, lambda rows: rows.abs().sum(dim=1))


def l2(network: nn.Module, groups: Sequence[ChannelGroup], inputs: ScoringInputs) -> Scores:
    """Score as `l1`, with the Euclidean norm of each filter: He et al. 2018 (arXiv:1808.06866)."""
    return _score_filters(network, groups, lambda rows: rows.square().sum(dim=1).sqrt())


def fpgm(network: nn.Module, groups: Sequence[ChannelGroup], inputs: ScoringInputs) -> Scores:
    """Score by the sum over j of ||F_i - F_j||, with a channel's filter F_i and all filters F_j.

    He et al. 2019 (arXiv:1811.00250), section 3. The sum is least for filters near the geometric
    median of the layer, which other filters can replace. Summed over the layers that output the
    channel, and divided by the mean over the group's channels.
    """
    return _score_filters(network, groups, lambda rows: torch.cdist(rows, rows).sum(dim=1))


def bn_scale(network: nn.Module, groups: Sequence[ChannelGroup], inputs: ScoringInputs) -> Scores:
    """Score by mean |gamma| over a channel's batch norms: Liu et al. 2017 (arXiv:1708.06519).

    A group without a batch norm with scales has no score, so that its channels are not pruned.

    Raises:
        UserError: no group has such a batch norm.
    """
    scales = [norm_rows(network, group, "weight") for group in groups]
    if not any(scales):
        raise UserError(
            "importance=bn_scale needs batch norms with scales, and no layer that can be pruned"
            " has one.",
            "  take importance=l1, or prune before the norms are folded",
        )
    return [
        _mean_magnitude(group, rows) if rows else None
        for group, rows in zip(groups, scales, strict=True)
    ]


def taylor(network: nn.Module, groups: Sequence[ChannelGroup], inputs: ScoringInputs) -> Scores:
    """Score by (sum of g w)^2 over the weights w that compute a channel, averaged over batches.

    Molchanov et al. 2019 (arXiv:1906.10771), section 3: the squared change of the loss, to first
    order, if these weights became 0; g is the gradient of a batch's mean cross-entropy. The
    weights are the scales and shifts of the channel's batch norms, as in their Taylor-FO-BN;
    without batch norms, its filters and biases.

    Raises:
        UserError: there are no labeled batches.
    """
    batches = _require_labels(inputs.batches, "taylor")
    return _average_over_batches(network, groups, batches, torch.mul, torch.square)


def hessian(network: nn.Module, groups: Sequence[ChannelGroup], inputs: ScoringInputs) -> Scores:
    """Score by the sum of h w^2 / 2 over the weights of `taylor`, with h the Hessian's diagonal.

    LeCun, Denker, Solla 1989, "Optimal Brain Damage": the change of the loss, to second order, if
    these weights became 0. As in Hassibi and Stork 1992, h is approximated by the mean square of
    each sample's gradient, which takes a backward pass for each sample.

    Raises:
        UserError: there are no labeled batches.
    """
    samples = (
        (take(batch, slice(i, i + 1)), labels[i : i + 1])
        for batch, labels in _require_labels(inputs.batches, "hessian")
        for i in range(len(labels))
    )
    return _average_over_batches(
        network, groups, samples, lambda g, w: (g * w).square() / 2, lambda sums: sums
    )


def random(network: nn.Module, groups: Sequence[ChannelGroup], inputs: ScoringInputs) -> Scores:
    """Draw uniform scores in [0, 1): a baseline for the other scores."""
    generator = torch.Generator().manual_seed(inputs.seed)
    return [torch.rand(group.channels, generator=generator) for group in groups]


IMPORTANCES = {score.__name__: score for score in (l1, l2, bn_scale, fpgm, taylor, hessian, random)}


def _score_filters(
    network: nn.Module, groups: Sequence[ChannelGroup], score: Callable[[Tensor], Tensor]
) -> Scores:
    """Sum the scores (K,) of each layer's filters (K, n) by channel, and divide by their mean."""
    scores: Scores = []
    for group in groups:
        rows = [
            ChannelRows(score(values)[:, None], channels)
            for values, channels in filters(network, group)
        ]
        sums = sum_by_channel(group, rows)
        scores.append(sums / sums.mean().clamp_min(torch.finfo(sums.dtype).tiny))
    return scores


def _mean_magnitude(group: ChannelGroup, rows: list[ChannelRows]) -> Tensor:
    magnitudes = [ChannelRows(values.abs(), channels) for values, channels in rows]
    return sum_by_channel(group, magnitudes) / len(rows)


def _average_over_batches(
    network: nn.Module,
    groups: Sequence[ChannelGroup],
    batches: Batches,
    product: Callable[[Tensor, Tensor], Tensor],
    finish: Callable[[Tensor], Tensor],
) -> Scores:
    """Return the mean over batches of finish(sum of product(gradient, weight)), in evaluation mode.

    Args:
        network: the network, which is left unchanged.
        groups: groups of channels.
        batches: inputs with labels; the gradient is that of a batch's mean cross-entropy.
        product: computes a term for each weight from gradient and weight.
        finish: computes scores (channels,) from each channel's sum of terms.
    """
    copy = deepcopy(network).eval().requires_grad_(True)
    terms = deepcopy(copy).requires_grad_(False)  # holds the terms in place of its parameters
    weights = list(copy.parameters())
    totals, count = [torch.zeros(group.channels) for group in groups], 0
    for inputs, labels in batches:
        with torch.enable_grad():
            loss = cross_entropy(copy(inputs), labels)
            gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
        for term, gradient, weight in zip(terms.parameters(), gradients, weights, strict=True):
            term.copy_(product(gradient, weight.detach()))
        sums = [sum_by_channel(group, weights_or_norms(terms, group)) for group in groups]
        totals = [
            total + finish(group_sums) for total, group_sums in zip(totals, sums, strict=True)
        ]
        count += 1
    if not count:
        raise UserError("there is no batch to compute the importance of channels from.")
    return [total / count for total in totals]


def _require_labels(batches: Batches | None, importance: str) -> Batches:
    if batches is None:
        raise UserError(f"importance={importance} needs samples with labels, and none were given.")
    return batches
