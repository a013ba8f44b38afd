"""The student's features taken to the teacher's, as they are or by their direction alone."""

from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt
from torch import Tensor, nn

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.adapters import aligned, channel_adapter, flat
from kdrun.loss.feature_loss import Paired
from kdrun.loss.tap_pairs import Pairs
from kdrun.loss.two_phase_loss import Staged
from kdrun.loss.weighted_loss import TermWeights


class FitNet(Staged):
    """Romero et al. 2015 (arXiv:1412.6550), equation 3: mean (r(F_s) - F_t)^2.

    The regressor r is a 1x1 convolution with a norm. With first epochs it is the paper's: the
    student up to the hint learns that term alone, then all of it learns the labels and, by `kd`,
    the soft targets. Without, as in the common code, the term is added to these.
    """

    auto = "stages[1]"

    def __init__(
        self, first_epochs: NonNegativeInt, pairs: Pairs, **shares: Unpack[TermWeights]
    ) -> None:
        super().__init__(first_epochs, pairs, **shares)

    def build(self) -> None:
        self.regressors = nn.ModuleList(
            channel_adapter(own, other) for own, other in self.channels()
        )

    def own(self, student: Output, teacher: Output) -> dict[str, Tensor]:
        distances = []
        for pair, regressor in zip(self.joined, self.regressors, strict=True):
            own, other = aligned(student.taps[pair.student], teacher.taps[pair.teacher])
            distances.append(F.mse_loss(regressor(own).to(other.dtype), other))
        return {"fitnet": torch.stack(distances).sum()}


class Cosine(Paired):
    """mean_i (1 - cos(r(f_s,i), f_t,i)) of embeddings, as DistilBERT has it (arXiv:1910.01108).

    r is a linear map where the widths differ, and nothing where they agree. Maps are averaged
    over their pixels.
    """

    auto = "embedding"

    def build(self) -> None:
        self.adapters = nn.ModuleList(
            nn.Identity() if own == other else nn.Linear(own, other)
            for own, other in self.channels()
        )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        distances = []
        for pair, adapter in zip(self.joined, self.adapters, strict=True):
            own = flat(student.taps[pair.student])
            other = flat(teacher.taps[pair.teacher].detach())
            distances.append(1 - F.cosine_similarity(adapter(own).to(other.dtype), other).mean())
        return {"cosine": torch.stack(distances).sum()}
