"""What the student's features tell of the teacher's."""

from math import expm1, log
from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import aligned, grid_shape
from kdrun.loss.method import Method, Shares
from kdrun.loss.pairs import Pairs, join, request, told

_LEAST = 1e-5  # variance


class VID(Method):
    """Ahn et al. 2019 (arXiv:1904.05835), equation 5, without its constant.

    Sum over pairs of mean 1/2 [(mu(F_s) - F_t)^2 / v_c + log v_c]: the log-likelihood of the
    teacher's maps under Gaussians whose means mu, three 1x1 convolutions, read the student's maps
    and whose variance v_c = softplus(a_c) + 1e-5 is learned for each channel.
    """

    def __init__(self, variance: PositiveFloat, pairs: Pairs, **shares: Unpack[Shares]) -> None:
        super().__init__(**shares)
        self.variance, self.pairs = variance, pairs

    def taps(self) -> TapRequest:
        return request(self.pairs, auto="stages[*]")

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        self.joined = join(student, teacher)
        self.means, self.spreads = nn.ModuleList(), nn.ParameterList()
        start = log(expm1(max(self.variance - _LEAST, _LEAST)))
        for pair in self.joined:
            own, other = grid_shape(pair.student_shape)[1], grid_shape(pair.teacher_shape)[1]
            self.means.append(_mean(own, other))
            self.spreads.append(nn.Parameter(torch.full((other,), start)))

    def notes(self) -> list[str]:
        return [told(self.joined)]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, at: Progress
    ) -> dict[str, Tensor]:
        found = []
        for pair, mean, spread in zip(self.joined, self.means, self.spreads, strict=True):
            own, other = aligned(student.taps[pair.student], teacher.taps[pair.teacher])
            # Squares are averaged over samples and pixels first: the variance is a channel's.
            error = (mean(own).to(other.dtype) - other).square().mean(dim=(0, 2, 3))
            variance = F.softplus(spread) + _LEAST
            found.append((error / variance + variance.log()).mean() / 2)
        return {"vid": torch.stack(found).sum()}


def _mean(channels: int, wanted: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, wanted, kernel_size=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(wanted, wanted, kernel_size=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(wanted, wanted, kernel_size=1, bias=False),
    )
