"""Which samples a network finds alike: the student's similarities pulled to the teacher's."""

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor

from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.base import widen
from kdrun.loss.method import Method, Shares
from kdrun.loss.pairs import Pairs, join, request, told


class Similarity(Method):
    """Tung and Mori 2019 (arXiv:1907.09682), equations 1 to 4.

    Sum over pairs of (1 / B^2) |G_s - G_t|_F^2, where G = A A' with rows of unit length and A is
    the batch of features, one flattened sample a row (B, C H W). The two networks' features may
    have any shapes; a batch of one sample has nothing to compare and gives 0.
    """

    def __init__(self, pairs: Pairs, **shares: Unpack[Shares]) -> None:
        super().__init__(**shares)
        self.pairs = pairs

    def taps(self) -> TapRequest:
        return request(self.pairs, auto="stages[-1]")

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        self.joined = join(student, teacher)

    def notes(self) -> list[str]:
        return [told(self.joined)]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, at: Progress
    ) -> dict[str, Tensor]:
        distances = [
            F.mse_loss(
                _similarities(student.taps[pair.student]),
                _similarities(teacher.taps[pair.teacher].detach()),
            )
            for pair in self.joined
        ]
        return {"sp": sum(distances[1:], distances[0])}


def _similarities(features: Tensor) -> Tensor:
    """(B, ...) -> inner products of the samples (B, B), each row of unit length."""
    rows = widen(features).flatten(1)
    return F.normalize(rows @ rows.T)
