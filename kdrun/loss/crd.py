"""Contrast: a sample's student embedding must find its teacher embedding among many others."""

import math
from typing import Literal, Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.ranges import UnitBelowOne
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import flat, grid_shape
from kdrun.loss.base import no_autocast
from kdrun.loss.tap_pairs import Pairs, join, request, told
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_SMALL = 1e-7  # beside the noise in a denominator, as in the published code
_UNSEEN = -1  # the label of a sample that no batch has brought yet


class CRD(WeightedLoss):
    """Tian et al. 2020 (arXiv:1910.10699), section 3.1, as its published code has it.

    Learned linear maps take both embeddings to unit vectors s_i and t_i of `dim` numbers. With P =
    exp(s_i . m / tau) / Z against a memory m of the teacher's vectors, and c = K / N,
    -mean_i [log P+ / (P+ + c) + sum over K negatives of log c / (P- + c)], and the same of t_i
    against a memory of the student's. A memory has a vector for each of the N training samples,
    which moves to each new one by `momentum`; Z is fixed by the first batch.

    The positive is the sample itself (exact) or any known one of its class (relax). Negatives are
    drawn evenly, with replacement, from all samples not known to be of its class; labels become
    known as batches bring them.

    Memory: 2 N dim floats, as much again while a step replaces them, and 2 B N for likenesses.
    """

    # Buffers, which nn.Module's own annotations do not know.
    students: Tensor
    teachers: Tensor
    log_scales: Tensor
    labels: Tensor

    has_memory_bank = True

    def __init__(
        self,
        mode: Literal["exact", "relax"],
        dim: PositiveInt,
        negatives: PositiveInt,
        tau: PositiveFloat,
        momentum: UnitBelowOne,
        pairs: Pairs,
        **shares: Unpack[TermWeights],
    ) -> None:
        super().__init__(**shares)
        self.mode, self.dim, self.negatives = mode, dim, negatives
        self.tau, self.momentum, self.pairs = tau, momentum, pairs

    def taps(self) -> TapRequest:
        return request(self.pairs, auto="embedding")

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        joined = join(student, teacher)
        if len(joined) != 1:
            raise UserError(
                f"loss 'crd' compares one place of each network; {len(joined)} pairs were given.",
                "  name one: loss.pairs=[[PATH,PATH]], or loss.pairs=auto for the embeddings",
            )
        self.pair = joined[0]
        self.student_map = nn.Linear(grid_shape(self.pair.student_shape)[1], self.dim)
        self.teacher_map = nn.Linear(grid_shape(self.pair.teacher_shape)[1], self.dim)
        for name in ("students", "teachers"):
            start = torch.rand(data.train_size, self.dim) * 2 - 1
            self.register_buffer(name, start / math.sqrt(self.dim / 3))
        self.register_buffer("log_scales", torch.full((2,), math.inf))  # of Z; inf: unknown
        self.register_buffer("labels", torch.full((data.train_size,), _UNSEEN))

    def notes(self) -> list[str]:
        size = (self.students.nbytes + self.teachers.nbytes) / 2**20
        shape = f"2 x {len(self.students)} x {self.dim} floats"
        return [told([self.pair]), f"memory of {shape} ({size:.1f} MiB), kept in checkpoints"]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        with no_autocast(student.logits):
            own = F.normalize(self.student_map(flat(student.taps[self.pair.student])))
            other = F.normalize(self.teacher_map(flat(teacher.taps[self.pair.teacher].detach())))
            drawn = self._draw(batch)
            against_teachers = (own @ self.teachers.T).gather(1, drawn) / self.tau
            against_students = (other @ self.students.T).gather(1, drawn) / self.tau
            self._remember(batch, own.detach(), other.detach())
            value = self._contrast(against_teachers, 0) + self._contrast(against_students, 1)
        return {"crd": value}

    def _contrast(self, likenesses: Tensor, side: int) -> Tensor:
        """The noise-contrastive loss of (B, 1 + K) likenesses, the positive's first."""
        count = len(self.students)
        if self.training:
            whole = likenesses.detach().logsumexp(dim=(0, 1))
            first = whole + math.log(count / likenesses.numel())
            known = self.log_scales[side].isfinite()
            self.log_scales[side] = torch.where(known, self.log_scales[side], first)
        noise = self.negatives / count
        above = likenesses - self.log_scales[side] - math.log(noise + _SMALL)
        found = F.softplus(-above[:, 0])
        refused = F.softplus(above[:, 1:]) + math.log1p(_SMALL / noise)
        return (found + refused.sum(dim=1)).mean()

    def _draw(self, batch: Batch) -> Tensor:
        """Positions (B, 1 + K) in the memory, the positive's first."""
        if self.training:
            self.labels[batch.index] = batch.targets
        count, rows = len(self.labels), len(batch.index)
        order = self.labels.argsort(stable=True)
        in_order = self.labels[order]
        first = torch.searchsorted(in_order, batch.targets)[:, None]
        alike = torch.searchsorted(in_order, batch.targets, right=True)[:, None] - first
        others = (count - alike).clamp(min=1)
        place = _any_of(others.expand(rows, self.negatives))
        place = (place + alike * (place >= first)).clamp(max=count - 1)  # past those of its class
        positive = batch.index[:, None]
        if self.mode == "relax":
            positive = order[first + _any_of(alike)]
        return torch.cat([positive, order[place]], dim=1)

    @torch.no_grad()
    def _remember(self, batch: Batch, student: Tensor, teacher: Tensor) -> None:
        if not self.training:
            return
        for name, new in (("students", student), ("teachers", teacher)):
            # Not in place: the backward pass still needs the memory as it was.
            memory, index = getattr(self, name), batch.index
            mixed = self.momentum * memory[index] + (1 - self.momentum) * new
            setattr(self, name, memory.index_copy(0, index, F.normalize(mixed)))


def _any_of(counts: Tensor) -> Tensor:
    """For each count an even draw from 0 up to it; the remainder's bias is below 2^-40."""
    drawn = torch.randint(2**62, counts.shape, device=counts.device)
    return drawn % counts
