"""Correlation congruence: how samples of a batch go together, in student and teacher."""

import math
from typing import Literal, Unpack

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from kdrun.core.types import DataInfo, TapShapes
from kdrun.loss.adapters import grid_shape
from kdrun.loss.relation_loss import Relation
from kdrun.loss.tap_pairs import Pair, Pairs
from kdrun.loss.weighted_loss import TermWeights


class CC(Relation):
    """Peng et al. 2019 (arXiv:1904.01802), in either of two forms.

    neighbours: mean_i sum_c |s_i - t_i|_c |s_i+1 - t_i+1|_c, as the CIFAR-100 tables have it,
    where s and t are learned linear maps of both embeddings to `dim` numbers.

    kernel: (1 / B^2) |K(e_s) - K(e_t)|^2 as in the paper, where K_ij is the Gaussian
    kernel of the unit embeddings in its Taylor form: sum over p up to `order` of
    exp(-2 gamma) (2 gamma)^p / p! (e_i . e_j)^p. It has no learned part.
    """

    def __init__(
        self,
        form: Literal["neighbours", "kernel"],
        dim: PositiveInt,
        gamma: PositiveFloat,
        order: NonNegativeInt,
        pairs: Pairs,
        **shares: Unpack[TermWeights],
    ) -> None:
        super().__init__("cc", pairs, **shares)
        self.form, self.dim = form, dim
        self.gamma, self.order = gamma, order

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        super().bind(student, teacher, data)
        if self.form == "neighbours":
            self.students = self._linear([pair.student_shape for pair in self.joined])
            self.teachers = self._linear([pair.teacher_shape for pair in self.joined])

    def between(self, pair: Pair, student: Tensor, teacher: Tensor) -> Tensor:
        if self.form == "kernel":
            return F.mse_loss(self._kernel(student), self._kernel(teacher))
        number = self.joined.index(pair)
        apart = (self.students[number](student) - self.teachers[number](teacher)).abs()
        return (apart[:-1] * apart[1:]).sum(dim=1).mean()

    def _linear(self, shapes: list[tuple[int, ...]]) -> nn.ModuleList:
        return nn.ModuleList(nn.Linear(grid_shape(shape)[1], self.dim) for shape in shapes)

    def _kernel(self, embeddings: Tensor) -> Tensor:
        """(B, C) -> (B, B)."""
        units = F.normalize(embeddings)
        cosines = units @ units.T
        powers = torch.stack([cosines**power for power in range(self.order + 1)])
        shares = [(2 * self.gamma) ** p / math.factorial(p) for p in range(self.order + 1)]
        return math.exp(-2 * self.gamma) * torch.tensordot(powers.new_tensor(shares), powers, 1)
