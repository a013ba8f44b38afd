"""Contrastive representation distillation."""

import math
from typing import Literal, Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.ranges import UnitBelowOne
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import count_channels, embeddings_of
from kdrun.loss.functional import no_autocast
from kdrun.loss.tap_pairs import TapPair, TapPairs, describe_pairs, pair_taps, request_pairs
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_SMALL = 1e-7  # added to the noise in a denominator, as in the published code
_UNKNOWN = -1  # stands for the label of a sample that has been in no batch yet


class CRD(WeightedLoss):
    """Contrastive distillation: embeddings against a memory.

    Formula:
        -mean_i [log P+ / (P+ + c) + sum over K negatives of log c / (P- + c)]
        once with s_i against the memory of t, once with t_i against the memory of s
        P = exp(s_i . m / tau) / Z, m: a vector of the other network's memory; c = K / N
        s_i, t_i: unit vectors of `dim` numbers, by learned linear maps of both embeddings
        memory: for each of the N training samples a moving average of its vectors, with `momentum`
        Z: a constant, estimated on the first batch

    Paper:
        Tian, Krishnan, Isola, Contrastive Representation Distillation, ICLR 2020, arXiv:1910.10699,
        section 3.1, as in its published code

    Needs:
        - embeddings of both (any widths)
        - labels
        - two learned linear maps
        - a memory bank of 2 N d floats, in checkpoints too, and 2 B N floats in a step

    Notes:
        - The positive is the sample itself (mode=exact) or a random sample of its class
          (mode=relax).
        - Negatives are drawn uniformly with replacement from all samples of other classes; the
          published code draws without replacement if there are enough of them.
        - The loss learns the labels from the batches, so in the first epoch some negatives belong
          to the sample's class.
        - The first batch fixes Z, as in the published code, so the value depends on the initial
          embeddings.
    """

    # Registered as buffers by `bind`; annotated here for the type checker.
    students: Tensor
    teachers: Tensor
    log_scales: Tensor
    labels: Tensor

    # Built by `bind`, from the shapes of the taps.
    pair: TapPair
    student_map: nn.Linear
    teacher_map: nn.Linear

    has_memory_bank = True

    def __init__(
        self,
        mode: Literal["exact", "relax"],
        dim: PositiveInt,
        negatives: PositiveInt,
        tau: PositiveFloat,
        momentum: UnitBelowOne,
        pairs: TapPairs,
        **weights: Unpack[TermWeights],
    ) -> None:
        super().__init__(**weights)
        self.mode, self.dim, self.negatives = mode, dim, negatives
        self.tau, self.momentum, self.pairs = tau, momentum, pairs

    def taps(self) -> TapRequest:
        return request_pairs(self.pairs, auto="embedding")

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        pairs = pair_taps(student, teacher)
        if len(pairs) != 1:
            raise UserError(
                f"loss 'crd' compares one layer of each network; {len(pairs)} pairs were given.",
                "  name one: loss.pairs=[[PATH,PATH]], or loss.pairs=auto for the embeddings",
            )
        self.pair = pairs[0]
        widths = count_channels(self.pair.student_shape, self.pair.teacher_shape)
        self.student_map = nn.Linear(widths.student, self.dim)
        self.teacher_map = nn.Linear(widths.teacher, self.dim)
        for name in ("students", "teachers"):
            start = torch.rand(data.train_size, self.dim) * 2 - 1
            self.register_buffer(name, start / math.sqrt(self.dim / 3))
        self.register_buffer("log_scales", torch.full((2,), math.inf))  # log Z; inf: not fixed yet
        self.register_buffer("labels", torch.full((data.train_size,), _UNKNOWN))

    def notes(self) -> list[str]:
        size = (self.students.nbytes + self.teachers.nbytes) / 2**20
        shape = f"2 x {len(self.students)} x {self.dim} floats"
        return [
            describe_pairs([self.pair]),
            f"memory of {shape} ({size:.1f} MiB), kept in checkpoints",
        ]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        with no_autocast(student.logits):
            s = F.normalize(self.student_map(embeddings_of(student, self.pair.student)))
            t = F.normalize(self.teacher_map(embeddings_of(teacher, self.pair.teacher).detach()))
            positions = self._draw(batch)
            against_teachers = (s @ self.teachers.T).gather(1, positions) / self.tau
            against_students = (t @ self.students.T).gather(1, positions) / self.tau
            self._update_memory(batch, s.detach(), t.detach())
            value = self._contrast(against_teachers, 0) + self._contrast(against_students, 1)
        return {"crd": value}

    def _contrast(self, products: Tensor, side: int) -> Tensor:
        """Return the noise-contrastive loss of one side.

        Args:
            products: s_i . m / tau (B, 1 + K), that of the positive in the first column.
            side: 0: student against the teacher's memory; 1: teacher against the student's.
        """
        count = len(self.students)
        if self.training:
            log_sum = products.detach().logsumexp(dim=(0, 1))
            estimate = log_sum + math.log(count / products.numel())
            is_fixed = self.log_scales[side].isfinite()
            self.log_scales[side] = torch.where(is_fixed, self.log_scales[side], estimate)
        noise = self.negatives / count
        # log P - log c, so that log P / (P + c) is -softplus of its negative.
        log_ratios = products - self.log_scales[side] - math.log(noise + _SMALL)
        positive = F.softplus(-log_ratios[:, 0])
        negatives = F.softplus(log_ratios[:, 1:]) + math.log1p(_SMALL / noise)
        return (positive + negatives.sum(dim=1)).mean()

    def _draw(self, batch: Batch) -> Tensor:
        """Return positions (B, 1 + K) in the memory: the positive, then K negatives."""
        if self.training:
            self.labels[batch.index] = batch.targets
        count, rows = len(self.labels), len(batch.index)
        # Sorted by label, the samples of a class are neighbours: `class_size` of them from `first`.
        order = self.labels.argsort(stable=True)
        labels = self.labels[order]
        first = torch.searchsorted(labels, batch.targets)[:, None]
        class_size = torch.searchsorted(labels, batch.targets, right=True)[:, None] - first
        others = (count - class_size).clamp(min=1)
        negative = _randint(others.expand(rows, self.negatives))
        skip_class = class_size * (negative >= first)
        negative = (negative + skip_class).clamp(max=count - 1)
        positive = batch.index[:, None]
        if self.mode == "relax":
            positive = order[first + _randint(class_size)]
        return torch.cat([positive, order[negative]], dim=1)

    @torch.no_grad()
    def _update_memory(self, batch: Batch, student: Tensor, teacher: Tensor) -> None:
        if not self.training:
            return
        for name, new in (("students", student), ("teachers", teacher)):
            # Not in place: the backward pass still needs the memory as it was.
            memory, index = getattr(self, name), batch.index
            mixed = self.momentum * memory[index] + (1 - self.momentum) * new
            setattr(self, name, memory.index_copy(0, index, F.normalize(mixed)))


def _randint(highs: Tensor) -> Tensor:
    """Return a random integer from 0 to h - 1 for each h in `highs`, with a bias below 2^-40."""
    return torch.randint(2**62, highs.shape, device=highs.device) % highs
