"""Attention transfer."""

from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.feature_loss import FeatureLoss
from kdrun.loss.functional import squared_error, sum_terms
from kdrun.loss.tap_pairs import TapPairs
from kdrun.loss.weighted_loss import TermWeights


class Attention(FeatureLoss):
    """Attention transfer: where in an image features are large.

    Formula:
        attention = mean_bi (Q_s / |Q_s| - Q_t / |Q_t|)^2, summed over the pairs of taps
        Q: mean over channels of |F|^power, a sample's maps F flattened over pixels i
        s, t: student and teacher

    Paper:
        Zagoruyko and Komodakis, Paying More Attention to Attention: Improving the Performance of
        Convolutional Neural Networks via Attention Transfer, ICLR 2017, arXiv:1612.03928, section
        3.1, as in its published code

    Needs:
        - feature maps of both (any networks)

    Notes:
        - The published code takes the mean of squares, too; equation 2 of the paper takes the norm
          of the difference. The weight 1000 suits the mean of squares and images of 32 pixels.
        - In a text, the pixels are its tokens; the mean goes over the tokens of the batch.
        - Each map is scaled to a unit vector, so with a quarter of the pixels the mean of squares
          is four times as large; smaller images need a smaller weight.
        - It teaches where features are large, not which features; after scaling, all maps of one
          pixel are equal and teach nothing.
        - Maps of two sizes are averaged to the smaller one. In the published tables it leaves
          mobilenet_v2 below the student alone.
    """

    compares_pixels = True

    def __init__(
        self, power: PositiveFloat, pairs: TapPairs, **weights: Unpack[TermWeights]
    ) -> None:
        super().__init__(pairs, **weights)
        self.power = power

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        distances = [
            squared_error(
                self._attention(maps.student), self._attention(maps.teacher), student.mask
            )
            for maps in self.aligned(student, teacher)
        ]
        return {"attention": sum_terms(distances)}

    def _attention(self, maps: Tensor) -> Tensor:
        """Return Q / |Q| of maps (B, C, H, W): (B, H W)."""
        if self.power == 2:  # vector_norm saves no squares of the maps for the backward pass
            norms = torch.linalg.vector_norm(maps, dim=1)
            return F.normalize((norms.square() / maps.shape[1]).flatten(1))
        return F.normalize(maps.abs().pow(self.power).mean(dim=1).flatten(1))
