"""Squared error of hidden states."""

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.feature_loss import FeatureLoss
from kdrun.loss.functional import sum_terms, to_float32
from kdrun.loss.tap_pairs import TapPairs
from kdrun.loss.weighted_loss import TermWeights


class HiddenMSE(FeatureLoss):
    """Squared error of hidden states, by linear adapters.

    Formula:
        mean (r(h_s) - h_t)^2, summed over the pairs of taps
        h_s, h_t: hidden states of student and teacher; r: a learned linear map if the widths
          differ, else the identity

    Paper:
        none; it is a term of TinyBERT (Jiao et al. 2020, arXiv:1909.10351, equation 8)

    Needs:
        - hidden states or feature maps of both (any networks)

    Notes:
        - Unlike fitnet it has neither norm nor ReLU, so values below 0 can be reached.
        - The mean goes over the tokens of all texts of a batch, or over pixels.
        - Maps of two sizes are averaged to the smaller one.
    """

    def __init__(self, pairs: TapPairs, **weights: Unpack[TermWeights]) -> None:
        super().__init__(pairs, **weights)
        self.adapters = nn.ModuleList()

    def build(self) -> None:
        self.adapters = nn.ModuleList(
            nn.Identity() if widths.student == widths.teacher else nn.Conv2d(*widths, 1)
            for widths in self.channels()
        )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        layers = zip(self.aligned(student, teacher), self.adapters, strict=True)
        errors = [
            F.mse_loss(to_float32(adapter(maps.student)), maps.teacher) for maps, adapter in layers
        ]
        return {"hidden_mse": sum_terms(errors)}
