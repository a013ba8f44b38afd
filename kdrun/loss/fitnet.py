"""FitNets: hints."""

from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt
from torch import Tensor, nn

from kdrun.core.types import Output
from kdrun.loss.adapters import channel_adapter
from kdrun.loss.tap_pairs import TapPairs
from kdrun.loss.two_phase_loss import TwoPhaseLoss
from kdrun.loss.weighted_loss import TermWeights


class FitNet(TwoPhaseLoss):
    """FitNets: squared error between adapted feature maps.

    Formula:
        mean (r(F_s) - F_t)^2, summed over the pairs of taps
        F_s, F_t: maps of student and teacher
        r: a learned 1x1 convolution, a batch norm and a ReLU

    Paper:
        Romero et al., FitNets: Hints for Thin Deep Nets, ICLR 2015, arXiv:1412.6550, equation 3

    Needs:
        - feature maps of both (any networks)
        - a first phase (first_epochs above 0)

    Notes:
        - With first_epochs above 0 training has the paper's two phases: first the student up to the
          compared layer learns this term alone, then all of the student learns the labels and, with
          kd above 0, the soft targets.
        - The published CIFAR-100 results come from joint training, the default here.
        - The regressor ends with a ReLU, as in the paper and in the code of these results: F_t is
          read after one. Negative values of F_t, as of a wide ResNet's stage, can't be reached.
        - Maps of two sizes are averaged to the smaller one; that code has strided convolutions.
    """

    auto = "stages[1]"
    revision = 2  # 2: the regressor ends with a ReLU

    def __init__(
        self, first_epochs: NonNegativeInt, pairs: TapPairs, **weights: Unpack[TermWeights]
    ) -> None:
        super().__init__(first_epochs, pairs, **weights)
        self.regressors = nn.ModuleList()

    def build(self) -> None:
        self.regressors = nn.ModuleList(
            nn.Sequential(*channel_adapter(*widths), nn.ReLU()) for widths in self.channels()
        )

    def feature_terms(self, student: Output, teacher: Output) -> dict[str, Tensor]:
        layers = zip(self.aligned(student, teacher), self.regressors, strict=True)
        errors = [
            F.mse_loss(regressor(maps.student).to(maps.teacher.dtype), maps.teacher)
            for maps, regressor in layers
        ]
        return {"fitnet": torch.stack(errors).sum()}
