"""Relations between the tokens of a text: products of their projections, head by head.

Shapes: B texts, T tokens, C channels, H heads.
"""

from math import sqrt

import torch
from torch import Tensor

from kdrun.core.attention_heads import attention_heads
from kdrun.core.errors import UserError
from kdrun.core.types import Output, TapShapes
from kdrun.loss.adapters import without_padding


def relation_scores(output: Output, first: str, second: str, heads: int) -> Tensor:
    """Return x y' / sqrt(d) (B, H, T, T) for the vectors x and y of d channels of each head.

    Args:
        output: the output of a network; its padding gets the score 0.
        first: the tap (B, T, C) with the vectors x.
        second: the tap with the vectors y.
        heads: H; C is a multiple of it.
    """
    x, y = (
        without_padding(output, tap).unflatten(2, (heads, -1)).transpose(1, 2)
        for tap in (first, second)
    )
    return x @ y.mT / sqrt(x.shape[3])


def relation_divergence(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over heads and tokens i of KL(softmax_j t_ij || softmax_j s_ij).

    Args:
        student: scores s (B, H, T, T).
        teacher: scores t (B, H, T, T).
        mask: (B, T), which positions are tokens; others are in no softmax and no mean.
    """
    log_s, log_t = (
        scores.masked_fill(~mask[:, None, None], torch.finfo(scores.dtype).min).log_softmax(3)
        for scores in (student, teacher)
    )
    divergences = (log_t.exp() * (log_t - log_s)).sum(3)
    return divergences.where(mask[:, None], 0).sum() / (mask.sum() * student.shape[1])


def common_heads(name: str, student: TapShapes, teacher: TapShapes, queries: str) -> int:
    """Return the number of attention heads of two networks.

    Args:
        name: the name of the loss, for the message.
        student: the student's taps.
        teacher: the teacher's taps.
        queries: the name of a tap on queries, in both networks.

    Raises:
        UserError: they have different numbers.
    """
    own, others = (
        attention_heads(network.network, network.paths[queries]) for network in (student, teacher)
    )
    if own != others:
        raise UserError(
            f"loss {name!r} compares attention head by head, and the student has {own} heads, the"
            f" teacher {others}.",
            f"  give the student {others} heads, or take loss=minilmv2, whose heads need not agree",
        )
    return own
