"""Probabilities of being near in a batch, as likenesses of embeddings give them."""

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor

from kdrun.loss.relation_loss import Relation
from kdrun.loss.tap_pairs import Pair, Pairs
from kdrun.loss.weighted_loss import TermWeights

_SMALL = 1e-7  # the published code's, beside norms and probabilities


class PKT(Relation):
    """Passalis and Tefas 2018 (arXiv:1803.10837), with the cosine kernel.

    mean_ij p_ij log(p_ij / q_ij), where q_ij (student) and p_ij (teacher) are (cos(e_i, e_j) + 1)
    / 2 over their sum in row i. As in the published code, i = j counts and the mean goes over all
    B^2 entries, where the paper sums the others.
    """

    def __init__(self, pairs: Pairs, **shares: Unpack[TermWeights]) -> None:
        super().__init__("pkt", pairs, **shares)

    def between(self, pair: Pair, student: Tensor, teacher: Tensor) -> Tensor:
        own, other = _likenesses(student), _likenesses(teacher)
        return (other * ((other + _SMALL).log() - (own + _SMALL).log())).mean()


def _likenesses(embeddings: Tensor) -> Tensor:
    """Conditional probabilities (B, B) from embeddings (B, C); each row sums to 1."""
    units = F.normalize(embeddings, eps=_SMALL)
    cosines = (units @ units.T + 1) / 2
    return cosines / cosines.sum(dim=1, keepdim=True)
