"""A discriminator tells the teacher's features from the student's, which learn to deceive it."""

from typing import Any, Unpack

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.adapters import flat
from kdrun.loss.feature_loss import Paired
from kdrun.loss.tap_pairs import Pairs
from kdrun.loss.weighted_loss import TermWeights


class Adversarial(Paired):
    """Xu, Hsu, Huang 2018 (arXiv:1709.00513), on features, in one step by gradient reversal.

    -1/2 mean_b [log D(f_t) + log(1 - D(r(f_s)))], summed over pairs, where f are features averaged
    over pixels, r a linear map to the teacher's width where the widths differ, and D = sigmoid of
    two linear layers, each divided by its largest singular value (Miyato et al. 2018,
    arXiv:1802.05957). D goes down this term; student and r go up it, `reversal` times as fast
    (Ganin and Lempitsky 2015, arXiv:1409.7495).

    Args:
        width: of the discriminator's hidden layer.
        reversal: what the gradient of the student is multiplied with, beside its sign.
        pairs: `auto` for the embeddings, or module paths.
    """

    auto = "embedding"

    def __init__(
        self,
        width: PositiveInt,
        reversal: NonNegativeFloat,
        pairs: Pairs,
        **shares: Unpack[TermWeights],
    ) -> None:
        super().__init__(pairs, **shares)
        self.width, self.reversal = width, reversal

    def build(self) -> None:
        widths = self.channels()
        self.adapters = nn.ModuleList(
            nn.Identity() if own == other else nn.Linear(own, other) for own, other in widths
        )
        self.discriminators = nn.ModuleList(
            _discriminator(other, self.width) for _, other in widths
        )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        # In full precision: norms of half-precision matrices are too coarse to divide by.
        with torch.autocast(student.logits.device.type, enabled=False):
            found = [
                self._doubt(
                    number, flat(student.taps[pair.student]), flat(teacher.taps[pair.teacher])
                )
                for number, pair in enumerate(self.joined)
            ]
        return {"adversarial": sum(found[1:], found[0])}

    def _doubt(self, number: int, student: Tensor, teacher: Tensor) -> Tensor:
        """The discriminator's cross-entropy on features (B, C) of both."""
        own = Reverse.apply(self.adapters[number](student), self.reversal)
        # Both at once: the norms are estimated anew in each pass.
        scores = self.discriminators[number](torch.cat([own, teacher.detach()])).flatten()
        truth = torch.arange(len(scores), device=scores.device) >= len(own)
        return F.binary_cross_entropy_with_logits(scores, truth.to(scores.dtype))


class Reverse(torch.autograd.Function):
    """The same tensor, its gradient turned round and scaled."""

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
