"""Variational information distillation."""

from math import expm1, log
from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.feature_loss import FeatureLoss
from kdrun.loss.tap_pairs import TapPairs
from kdrun.loss.weighted_loss import TermWeights

_MIN_VARIANCE = 1e-5


class VID(FeatureLoss):
    """Variational information: likelihood of the teacher's maps.

    Formula:
        mean 1/2 [(mu(F_s) - F_t)^2 / v_c + log v_c], summed over the pairs of taps
        mu: three learned 1x1 convolutions
        v_c = softplus(a_c) + 1e-5: a learned variance for each channel

    Paper:
        Ahn et al., Variational Information Distillation for Knowledge Transfer, CVPR 2019,
        arXiv:1904.05835, equation 5 without its constant

    Needs:
        - feature maps of both (any networks)

    Notes:
        - The value can fall below 0 once variances are below 1.
        - This is a mean over channels and pixels, where the paper sums; the default weight is meant
          for the mean.
        - Maps of two sizes are averaged to the smaller one; public code has strided convolutions.
    """

    def __init__(
        self, variance: PositiveFloat, pairs: TapPairs, **weights: Unpack[TermWeights]
    ) -> None:
        super().__init__(pairs, **weights)
        self.variance = variance
        self.means, self.spreads = nn.ModuleList(), nn.ParameterList()

    def build(self) -> None:
        self.means, self.spreads = nn.ModuleList(), nn.ParameterList()
        start = log(expm1(max(self.variance - _MIN_VARIANCE, _MIN_VARIANCE)))
        for widths in self.channels():
            self.means.append(_mean(*widths))
            self.spreads.append(nn.Parameter(torch.full((widths.teacher,), start)))

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        likelihoods = []
        layers = zip(self.aligned(student, teacher), self.means, self.spreads, strict=True)
        for maps, mean, spread in layers:
            # Squares are averaged over samples and pixels first, as each channel has a variance.
            difference = mean(maps.student).to(maps.teacher.dtype) - maps.teacher
            error = difference.square().mean(dim=(0, 2, 3))
            variance = F.softplus(spread) + _MIN_VARIANCE
            likelihoods.append((error / variance + variance.log()).mean() / 2)
        return {"vid": torch.stack(likelihoods).sum()}


def _mean(student: int, teacher: int) -> nn.Module:
    """Return mu, a module from the student's channels to the teacher's."""
    return nn.Sequential(
        nn.Conv2d(student, teacher, kernel_size=1, bias=False),
        nn.ReLU(inplace=True),
        nn.Conv2d(teacher, teacher, kernel_size=1, bias=False),
        nn.ReLU(inplace=True),
        nn.Conv2d(teacher, teacher, kernel_size=1, bias=False),
    )
