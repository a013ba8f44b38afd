"""Which side of their boundary neurons are on: the student's signs made the teacher's."""

from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt, PositiveFloat
from torch import Tensor, nn

from kdrun.core.types import Output
from kdrun.loss.adapters import aligned, channel_adapter
from kdrun.loss.base import to_float32
from kdrun.loss.tap_pairs import Pairs
from kdrun.loss.two_phase_loss import Staged
from kdrun.loss.weighted_loss import TermWeights

_SCALE = 3 / 1000  # of the authors' code, so that rates of usual size train it


class Boundaries(Staged):
    """Heo, Lee, Yun, Choi 2019 (arXiv:1811.03233), equation 6, scaled as in their code.

    0.003 sum_l 2^(l - L) (1 / B) sum_i h_i over places l = 1..L and all neurons i of a place, with
    h = max(0, margin + s)^2 where t <= 0 and max(0, margin - s)^2 where t > 0. s and t are the
    values before the activation; an adapter brings the student's channels to the teacher's.
    """

    auto = "stages[*]:pre"

    def __init__(
        self,
        pairs: Pairs,
        margin: PositiveFloat,
        first_epochs: NonNegativeInt,
        **shares: Unpack[TermWeights],
    ) -> None:
        super().__init__(first_epochs, pairs, **shares)
        self.margin = margin

    def build(self) -> None:
        self.adapters = nn.ModuleList(
            nn.Identity() if own == other else channel_adapter(own, other)
            for own, other in self.channels()
        )

    def own(self, student: Output, teacher: Output) -> dict[str, Tensor]:
        found = []
        for number, (pair, adapter) in enumerate(zip(self.joined, self.adapters, strict=True)):
            own, other = aligned(student.taps[pair.student], teacher.taps[pair.teacher])
            share = 2.0 ** (number + 1 - len(self.joined)) * _SCALE
            found.append(share * self._hinge(to_float32(adapter(own)), other))
        return {"ab": sum(found[1:], found[0])}

    def _hinge(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The sum over neurons of maps (B, C, H, W), a mean over the batch."""
        away = torch.where(teacher > 0, -student, student)
        return F.relu(self.margin + away).square().sum() / len(student)
