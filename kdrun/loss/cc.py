"""Correlation congruence."""

import math
from typing import Literal, Unpack

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from kdrun.loss.relation_loss import RelationLoss
from kdrun.loss.tap_pairs import TapPair, TapPairs
from kdrun.loss.weighted_loss import TermWeights


class CC(RelationLoss):
    """Correlation congruence: correlations within a batch.

    Formula:
        form=neighbours: mean_i sum_c |s_i - t_i|_c |s_i+1 - t_i+1|_c
        s, t: embeddings of student and teacher, mapped to `dim` numbers by learned linear maps
        form=kernel: mean_ij (K_s,ij - K_t,ij)^2
        K_ij = sum_p exp(-2g) (2g)^p / p! (e_i . e_j)^p, p = 0..order, g: gamma, the Taylor form
          of a Gaussian kernel of unit embeddings e_i

    Paper:
        Peng, Jin, Liu, Zhou, Wu, Liu, Li, Zhang, Correlation Congruence for Knowledge Distillation,
        ICCV 2019, arXiv:1904.01802

    Needs:
        - embeddings of both (any widths)
        - a batch of 2 or more
        - two learned linear maps (form=neighbours)

    Notes:
        - The published CIFAR-100 results come from form=neighbours; the formula of the paper is
          form=kernel.
        - With form=neighbours the teacher's linear map learns too, so the term can fall though the
          student does not come closer to the teacher.
        - form=kernel has smaller values, so it needs another weight than form=neighbours.
    """

    def __init__(
        self,
        form: Literal["neighbours", "kernel"],
        dim: PositiveInt,
        gamma: PositiveFloat,
        order: NonNegativeInt,
        pairs: TapPairs,
        **weights: Unpack[TermWeights],
    ) -> None:
        super().__init__("cc", pairs, **weights)
        self.form, self.dim = form, dim
        self.gamma, self.order = gamma, order
        self.students, self.teachers = nn.ModuleList(), nn.ModuleList()

    def build(self) -> None:
        if self.form == "neighbours":
            channels = self.channels()
            self.students = nn.ModuleList(
                nn.Linear(widths.student, self.dim) for widths in channels
            )
            self.teachers = nn.ModuleList(
                nn.Linear(widths.teacher, self.dim) for widths in channels
            )

    def compare(self, pair: TapPair, student: Tensor, teacher: Tensor) -> Tensor:
        if self.form == "kernel":
            return F.mse_loss(self._kernel(student), self._kernel(teacher))
        number = self.tap_pairs.index(pair)
        distances = (self.students[number](student) - self.teachers[number](teacher)).abs()
        return (distances[:-1] * distances[1:]).sum(dim=1).mean()

    def _kernel(self, embeddings: Tensor) -> Tensor:
        """Return K (B, B) of embeddings (B, C)."""
        units = F.normalize(embeddings)
        cosines = units @ units.T
        powers = torch.stack([cosines**power for power in range(self.order + 1)])
        factors = [(2 * self.gamma) ** p / math.factorial(p) for p in range(self.order + 1)]
        return math.exp(-2 * self.gamma) * torch.tensordot(powers.new_tensor(factors), powers, 1)
