"""Where a network looks: attention maps of the student pulled to the teacher's."""

from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.adapters import aligned
from kdrun.loss.feature_loss import Paired
from kdrun.loss.tap_pairs import Pairs
from kdrun.loss.weighted_loss import TermWeights


class Attention(Paired):
    """Zagoruyko and Komodakis 2017 (arXiv:1612.03928), section 3.1, as its published code has it.

    Sum over pairs of mean_bi (Q(F_s) / |Q(F_s)| - Q(F_t) / |Q(F_t)|)^2, where Q is the mean over
    channels of |F|^power, flattened over pixels. Maps of two sizes meet at the smaller one.
    Paper, equation 2, takes the norm of the difference where the code takes its mean square.
    """

    compares_pixels = True

    def __init__(self, power: PositiveFloat, pairs: Pairs, **shares: Unpack[TermWeights]) -> None:
        super().__init__(pairs, **shares)
        self.power = power

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        distances = [
            self._distance(*aligned(student.taps[pair.student], teacher.taps[pair.teacher]))
            for pair in self.joined
        ]
        return {"attention": sum(distances[1:], distances[0])}

    def _distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        return F.mse_loss(self._map(student), self._map(teacher))

    def _map(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> unit vectors (B, H W)."""
        if self.power == 2:  # as a norm, which keeps no squares of whole maps for the backward pass
            norms = torch.linalg.vector_norm(features, dim=1)
            return F.normalize((norms.square() / features.shape[1]).flatten(1))
        return F.normalize(features.abs().pow(self.power).mean(dim=1).flatten(1))
