"""Singular vectors of maps: how the student's turn from stage to stage, as the teacher's."""

from itertools import pairwise
from typing import Unpack

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.adapters import as_grid, channel_adapter, grid_shape
from kdrun.loss.base import no_autocast, to_float32
from kdrun.loss.feature_loss import Paired
from kdrun.loss.singular_vectors import follow, top_eigen
from kdrun.loss.tap_pairs import Pairs
from kdrun.loss.weighted_loss import TermWeights

_SPARE = 3  # more vectors of the student than of the teacher, among which partners are found
_WIDTH = 8.0  # of the radial basis function


class Singular(Paired):
    """Lee, Kim, Song 2018 (arXiv:1807.06819), as the code of the CIFAR-100 tables has it.

    Sum over successive places of (1 / B) sum_b,i,j,n (exp(-(x_in - y_jn)^2 / 8) of the student -
    the same of the teacher)^2, where x (C1, k) and y (C2, k) are the first k right singular vectors
    of a place's maps (H W, C) and of the next one's. Each of the teacher's has as its partner the
    student's with the largest cosine, its sign turned to it; both count as the teacher's singular
    values do, which have length 1. An adapter brings the student's channels to the teacher's.
    """

    def __init__(self, pairs: Pairs, vectors: PositiveInt, **shares: Unpack[TermWeights]) -> None:
        super().__init__(pairs, **shares)
        self.vectors = vectors

    def build(self) -> None:
        if len(self.joined) < 2:
            raise UserError(
                f"kdsvd needs 2 places in a row, and there is only {self.joined[0].where}.",
                "  name more: loss.pairs=[[PATH,PATH],[PATH,PATH]]; kdrun layers model=NAME",
            )
        least, where = min(
            (min(shape[1], shape[2] * shape[3]), pair.where)
            for pair in self.joined
            for shape in (grid_shape(pair.student_shape), grid_shape(pair.teacher_shape))
        )
        if self.vectors > least:
            raise UserError(
                f"kdsvd: loss.vectors={self.vectors}, and maps of {where} have {least} at most.",
                f"  take loss.vectors={least} or less, or other places: loss.pairs=...",
            )
        self.adapters = nn.ModuleList(
            nn.Identity() if own == other else channel_adapter(own, other)
            for own, other in self.channels()
        )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        with no_autocast(student.logits):  # which decompositions don't know
            found = [
                self._vectors(
                    adapter(as_grid(to_float32(student.taps[pair.student]))).flatten(2),
                    as_grid(to_float32(teacher.taps[pair.teacher].detach())).flatten(2),
                )
                for pair, adapter in zip(self.joined, self.adapters, strict=True)
            ]
        distances = [
            (_similarity(own, own_next) - _similarity(other, other_next)).square().sum() / len(own)
            for (own, other), (own_next, other_next) in pairwise(found)
        ]
        return {"kdsvd": sum(distances[1:], distances[0])}

    def _vectors(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors (B, C, k) of two maps (B, C, H W), in pairs and weighted."""
        with torch.no_grad():
            squares, other = top_eigen(teacher, self.vectors)
            shares = nn.functional.normalize(squares.clamp_min(0).sqrt(), dim=1)[:, None]
            values, own = top_eigen(student.detach(), self.vectors + _SPARE)
            cosines = own.mT @ other  # (B, student's, teacher's)
            partner = cosines.abs().argmax(dim=1)
            own = own.gather(2, partner[:, None].expand(-1, own.shape[1], -1))
            own = own * cosines.gather(1, partner[:, None]).sign()
            values = values.gather(1, partner)
        return follow(student, values, own) * shares, other * shares


def _similarity(first: Tensor, second: Tensor) -> Tensor:
    """(B, C1, k), (B, C2, k) -> (B, C1, C2, k)."""
    return (-(first[:, :, None] - second[:, None]).square() / _WIDTH).exp()
