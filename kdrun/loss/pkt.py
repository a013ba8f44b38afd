"""Probabilistic knowledge transfer."""

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor

from kdrun.loss.relation_loss import RelationLoss
from kdrun.loss.tap_pairs import TapPair, TapPairs
from kdrun.loss.weighted_loss import TermWeights

_SMALL = 1e-7  # added to norms and probabilities, as in the published code


class PKT(RelationLoss):
    """Probabilistic transfer: which samples are near each other.

    Formula:
        mean_ij p_ij log(p_ij / q_ij)
        q_ij (student), p_ij (teacher): (cos(e_i, e_j) + 1) / 2, each row divided by its sum
        e_i: embedding of sample i of the batch

    Paper:
        Passalis, Tefas, Learning Deep Representations with Probabilistic Knowledge Transfer, ECCV
        2018, arXiv:1803.10837, with the cosine kernel

    Needs:
        - embeddings of both (any widths)
        - a batch of 2 or more

    Notes:
        - The mean goes over all B^2 entries, also those of a sample with itself, as in the
          published code; the paper sums over different samples. Larger batches give smaller values.
    """

    def __init__(self, pairs: TapPairs, **weights: Unpack[TermWeights]) -> None:
        super().__init__("pkt", pairs, **weights)

    def compare(self, pair: TapPair, student: Tensor, teacher: Tensor) -> Tensor:
        q, p = _conditional(student), _conditional(teacher)
        return (p * ((p + _SMALL).log() - (q + _SMALL).log())).mean()


def _conditional(embeddings: Tensor) -> Tensor:
    """Return p_ij (B, B) of embeddings (B, C); each row sums to 1."""
    units = F.normalize(embeddings, eps=_SMALL)
    similarities = (units @ units.T + 1) / 2
    return similarities / similarities.sum(dim=1, keepdim=True)
