"""Activation boundaries."""

from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt, PositiveFloat
from torch import Tensor, nn

from kdrun.core.types import Output
from kdrun.loss.adapters import channel_adapter
from kdrun.loss.functional import sum_terms, to_float32
from kdrun.loss.tap_pairs import TapPairs
from kdrun.loss.two_phase_loss import TwoPhaseLoss
from kdrun.loss.weighted_loss import TermWeights

_SCALE = 3 / 1000  # a factor from the authors' code, with which usual learning rates work


class AB(TwoPhaseLoss):
    """Activation boundaries: neurons get the teacher's signs.

    Formula:
        ab = 0.003 sum_l 2^(l - L) (1 / B) sum_i h_i over layers l = 1..L and neurons i
        h = max(0, margin + s)^2 where t <= 0, max(0, margin - s)^2 where t > 0
        s, t: values before the activation, the student's adapted to the teacher's channels

    Paper:
        Heo, Lee, Yun and Choi, Knowledge Transfer via Distillation of Activation Boundaries Formed
        by Hidden Neurons, AAAI 2019, arXiv:1811.03233, equation 6, scaled as in the authors' code

    Needs:
        - feature maps of both before their activation (any networks)
        - a first phase, unless loss.first_epochs=0

    Notes:
        - It reads the input of the activation at the end of a stage or, in pre-activation networks,
          at the beginning of the next one. If this activation is no module, it reads the stage's
          output.
        - The first phase trains with this term alone, unweighted and at a constant rate, the main
          phase with the labels alone; loss.first_epochs=0 trains with both together.
        - In texts, B is the number of tokens of a batch.
        - Maps of two sizes are averaged to the smaller one; public code has strided convolutions.
    """

    auto = "stages[*]:pre"

    def __init__(
        self,
        pairs: TapPairs,
        margin: PositiveFloat,
        first_epochs: NonNegativeInt,
        **weights: Unpack[TermWeights],
    ) -> None:
        super().__init__(first_epochs, pairs, **weights)
        self.margin = margin
        self.adapters = nn.ModuleList()

    def build(self) -> None:
        self.adapters = nn.ModuleList(
            nn.Identity() if widths.student == widths.teacher else channel_adapter(*widths)
            for widths in self.channels()
        )

    def feature_terms(self, student: Output, teacher: Output) -> dict[str, Tensor]:
        layers = zip(self.aligned(student, teacher), self.adapters, strict=True)
        hinges = [
            2.0 ** (number + 1 - len(self.tap_pairs))
            * _SCALE
            * self._hinge(to_float32(adapter(maps.student)), maps.teacher)
            for number, (maps, adapter) in enumerate(layers)
        ]
        return {"ab": sum_terms(hinges)}

    def _hinge(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return sum_i h_i of maps (B, C, H, W), averaged over the batch."""
        wrong_side = torch.where(teacher > 0, -student, student)
        return F.relu(self.margin + wrong_side).square().sum() / len(student)
