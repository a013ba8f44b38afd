"""Adversarial distillation: a discriminator between the features of student and teacher."""

from typing import Any, Unpack

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.adapters import embeddings_of
from kdrun.loss.feature_loss import FeatureLoss
from kdrun.loss.functional import no_autocast, sum_terms
from kdrun.loss.tap_pairs import TapPairs
from kdrun.loss.weighted_loss import TermWeights


class Adversarial(FeatureLoss):
    """Adversarial: features that a discriminator confuses.

    Formula:
        -1/2 mean_b [log D(f_t) + log(1 - D(r(f_s)))], summed over the pairs of taps
        f: features averaged over pixels or tokens, r: a linear map where the widths differ
        D: sigmoid of two linear layers, each divided by its largest singular value
        D minimizes it; the student and r maximize it, with gradients `reversal` times as large

    Paper:
        after Xu, Hsu, Huang, Training Shallow and Thin Networks for Acceleration via Knowledge
        Distillation with Conditional Adversarial Networks, ICLR workshop 2018, arXiv:1709.00513;
        the reversed gradient is that of Ganin and Lempitsky 2015, arXiv:1409.7495, the
        normalization of D that of Miyato et al. 2018, arXiv:1802.05957

    Needs:
        - an embedding of both (any networks), or pairs of module paths

    Notes:
        - The paper's discriminator reads logits and is trained in turns with the student; here it
          reads features, and a reversed gradient trains both in the same step.
        - It matches distributions, not single samples; for these add kd or another loss.
        - A falling term is no sign of success: near log 2 = 0.69 the discriminator can't tell
          student and teacher apart.
    """

    auto = "embedding"
    compares_tokens = False

    def __init__(
        self,
        width: PositiveInt,
        reversal: NonNegativeFloat,
        pairs: TapPairs,
        **weights: Unpack[TermWeights],
    ) -> None:
        super().__init__(pairs, **weights)
        self.width, self.reversal = width, reversal
        self.adapters, self.discriminators = nn.ModuleList(), nn.ModuleList()

    def build(self) -> None:
        self.adapters = nn.ModuleList(
            nn.Identity() if widths.student == widths.teacher else nn.Linear(*widths)
            for widths in self.channels()
        )
        self.discriminators = nn.ModuleList(
            _discriminator(widths.teacher, self.width) for widths in self.channels()
        )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        # In full precision: norms of half-precision matrices are too coarse to divide by.
        with no_autocast(student.logits):
            errors = [
                self._error(
                    number,
                    embeddings_of(student, pair.student),
                    embeddings_of(teacher, pair.teacher),
                )
                for number, pair in enumerate(self.tap_pairs)
            ]
        return {"adversarial": sum_terms(errors)}

    def _error(self, number: int, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the cross-entropy of a pair's discriminator on the features (B, C)."""
        student = ReverseGradient.apply(self.adapters[number](student), self.reversal)
        # Both networks in one call: each call updates the estimate of the singular values.
        features = torch.cat([student, teacher.detach()])
        scores = self.discriminators[number](features).flatten()
        is_teacher = torch.arange(len(scores), device=scores.device) >= len(student)
        return F.binary_cross_entropy_with_logits(scores, is_teacher.to(scores.dtype))


class ReverseGradient(torch.autograd.Function):
    """The identity, whose gradient is multiplied by -scale."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.scale * gradients[0], None


def _discriminator(features: int, width: int) -> nn.Module:
    first, last = spectral_norm(nn.Linear(features, width)), spectral_norm(nn.Linear(width, 1))
    return nn.Sequential(first, nn.LeakyReLU(0.2), last)
