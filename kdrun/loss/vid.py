"""What the student's features tell of the teacher's."""

from math import expm1, log
from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.adapters import aligned
from kdrun.loss.feature_loss import Paired
from kdrun.loss.tap_pairs import Pairs
from kdrun.loss.weighted_loss import TermWeights

_LEAST = 1e-5  # variance


class VID(Paired):
    """Ahn et al. 2019 (arXiv:1904.05835), equation 5, without its constant.

    Sum over pairs of mean 1/2 [(mu(F_s) - F_t)^2 / v_c + log v_c]: the log-likelihood of the
    teacher's maps under Gaussians whose means mu, three 1x1 convolutions, read the student's maps
    and whose variance v_c = softplus(a_c) + 1e-5 is learned for each channel.
    """

    def __init__(
        self, variance: PositiveFloat, pairs: Pairs, **shares: Unpack[TermWeights]
    ) -> None:
        super().__init__(pairs, **shares)
        self.variance = variance

    def build(self) -> None:
        self.means, self.spreads = nn.ModuleList(), nn.ParameterList()
        start = log(expm1(max(self.variance - _LEAST, _LEAST)))
        for own, other in self.channels():
            self.means.append(_mean(own, other))
            self.spreads.append(nn.Parameter(torch.full((other,), start)))

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
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
        nn.ReLU(inplace=True),
        nn.Conv2d(wanted, wanted, kernel_size=1, bias=False),
        nn.ReLU(inplace=True),
        nn.Conv2d(wanted, wanted, kernel_size=1, bias=False),
    )
