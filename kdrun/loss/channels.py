"""Which channels say the same: correlations of the student's channels pulled to the teacher's."""

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import as_grid, channel_adapter, grid_shape
from kdrun.loss.base import widen
from kdrun.loss.method import Method, Shares
from kdrun.loss.pairs import Pairs, join, request, told


class Channels(Method):
    """Liu et al. 2021 (arXiv:2202.03680): ICKD-C, as the authors' code has it.

    Sum over pairs of (1 / (B C)) sum_b |G_s - G_t|_F^2, where G = F F' (C, C) with rows of unit
    length and F (C, H W) are a sample's maps, the student's adapted to the teacher's channels.
    """

    def __init__(self, pairs: Pairs, **shares: Unpack[Shares]) -> None:
        super().__init__(**shares)
        self.pairs = pairs

    def taps(self) -> TapRequest:
        return request(self.pairs, auto="stages[-1]")

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        self.joined = join(student, teacher)
        self.adapters = nn.ModuleList(
            channel_adapter(grid_shape(pair.student_shape)[1], grid_shape(pair.teacher_shape)[1])
            for pair in self.joined
        )

    def notes(self) -> list[str]:
        return [told(self.joined)]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, at: Progress
    ) -> dict[str, Tensor]:
        distances = []
        for pair, adapter in zip(self.joined, self.adapters, strict=True):
            own = _correlations(adapter(as_grid(widen(student.taps[pair.student]))))
            other = _correlations(as_grid(teacher.taps[pair.teacher].detach()))
            apart = (own - other).square().sum() / (other.shape[0] * other.shape[1])
            distances.append(apart)
        return {"ickd": sum(distances[1:], distances[0])}


def _correlations(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> inner products of the channels (B, C, C), each row of unit length."""
    rows = widen(maps).flatten(2)
    return F.normalize(rows @ rows.mT, dim=2)
