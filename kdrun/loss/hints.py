"""The student's features taken to the teacher's, as they are or by their direction alone."""

from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt
from torch import Tensor, nn

from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import aligned, channel_adapter, flat, grid_shape
from kdrun.loss.method import Method, Shares
from kdrun.loss.pairs import Pairs, join, request, told
from kdrun.loss.staged import Staged


class FitNet(Staged):
    """Romero et al. 2015 (arXiv:1412.6550), equation 3: mean (r(F_s) - F_t)^2.

    The regressor r is a 1x1 convolution with a norm. With first epochs it is the paper's: the
    student up to the hint learns that term alone, then all of it learns the labels and, by `kd`,
    the soft targets. Without, as in the common code, the term is added to these.
    """

    def __init__(
        self, first_epochs: NonNegativeInt, pairs: Pairs, **shares: Unpack[Shares]
    ) -> None:
        super().__init__(first_epochs, **shares)
        self.pairs = pairs

    def taps(self) -> TapRequest:
        return request(self.pairs, auto="stages[1]")

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        self.joined = join(student, teacher)
        self.regressors = nn.ModuleList(
            channel_adapter(grid_shape(pair.student_shape)[1], grid_shape(pair.teacher_shape)[1])
            for pair in self.joined
        )

    def notes(self) -> list[str]:
        return [told(self.joined)]

    def own(self, student: Output, teacher: Output) -> dict[str, Tensor]:
        distances = []
        for pair, regressor in zip(self.joined, self.regressors, strict=True):
            own, other = aligned(student.taps[pair.student], teacher.taps[pair.teacher])
            distances.append(F.mse_loss(regressor(own).to(other.dtype), other))
        return {"fitnet": torch.stack(distances).sum()}


class Cosine(Method):
    """mean_i (1 - cos(r(f_s,i), f_t,i)) of embeddings, as DistilBERT has it (arXiv:1910.01108).

    r is a linear map where the widths differ, and nothing where they agree. Maps are averaged
    over their pixels.
    """

    def __init__(self, pairs: Pairs, **shares: Unpack[Shares]) -> None:
        super().__init__(**shares)
        self.pairs = pairs

    def taps(self) -> TapRequest:
        return request(self.pairs, auto="embedding")

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        self.joined = join(student, teacher)
        widths = [
            (grid_shape(pair.student_shape)[1], grid_shape(pair.teacher_shape)[1])
            for pair in self.joined
        ]
        self.adapters = nn.ModuleList(
            nn.Identity() if own == other else nn.Linear(own, other) for own, other in widths
        )

    def notes(self) -> list[str]:
        return [told(self.joined)]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, at: Progress
    ) -> dict[str, Tensor]:
        distances = []
        for pair, adapter in zip(self.joined, self.adapters, strict=True):
            own = flat(student.taps[pair.student])
            other = flat(teacher.taps[pair.teacher].detach())
            distances.append(1 - F.cosine_similarity(adapter(own).to(other.dtype), other).mean())
        return {"cosine": torch.stack(distances).sum()}
