"""The loss of a student with several teachers."""

from math import log
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.taps import token_mask
from kdrun.core.types import Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes
from kdrun.loss.base import Loss, losses_in, require_teacher
from kdrun.loss.combined import Combined
from kdrun.loss.committee_taps import (
    logits_tap,
    logits_taps,
    member_prefix,
    member_shapes,
    move_phase,
)
from kdrun.loss.functional import to_float32
from kdrun.loss.prefixes import add_prefix, strip_prefix
from kdrun.loss.table import build_loss

Combine = Literal["probabilities", "logits", "best"]


class Teachers(Loss):
    """The loss of scheme=teachers; `kdrun.scheme.teachers.Teachers` has its formula.

    The engine's teacher is a committee: one network that holds all teachers. Each teacher has an
    inner loss with its adapters, which reads the features of this teacher and the combined logits
    z. The inner losses are summed with the weights w_k.

    Args:
        loss: the config node of the inner loss.
        combine: how the teachers' logits are combined into z.
        weights: w_k for each teacher, above 0; they are divided by their sum.
    """

    def __init__(
        self,
        loss: dict[str, Any],
        combine: Combine,
        weights: list[PositiveFloat],
    ) -> None:
        super().__init__()
        self.name, self.combine = loss["name"], combine
        self.parts = nn.ModuleList(build_loss(loss) for _ in weights)
        self.weights = [weight / sum(weights) for weight in weights]
        self.temperature = 1.0
        self._teachers: list[nn.Module] = []  # in a list, so that the loss does not save them

    def taps(self) -> TapRequest:
        inner = self._losses()[0].taps()
        teachers = logits_taps(len(self.parts))
        for number in range(len(self.parts)):
            teachers |= add_prefix(member_prefix(number), inner.teacher)
        return TapRequest(inner.student, teachers)

    def phases(self) -> tuple[Phase, ...]:
        paths = [f"loss.parts.{number}." for number in range(len(self.parts))]
        return tuple(move_phase(phase, {"loss.": paths}) for phase in self._losses()[0].phases())

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        losses = self._losses()
        if teacher is None or not losses[0].uses_teacher:
            raise UserError(
                f"the loss {self.name!r} learns from no teacher, and several were given.",
                "  use scheme=none, or a loss that does: loss=kd",
            )
        members = [member_shapes(teacher, number) for number in range(len(losses))]
        self._teachers = [member.network for member in members]
        for loss, member in zip(losses, members, strict=True):
            loss.bind(student, member, data)
        if self.combine == "probabilities":
            self.temperature = temperature_of(losses[0])

    def notes(self) -> list[str]:
        return [
            f"teacher {number}: {note}"
            for number, loss in enumerate(self._losses(), start=1)
            for note in loss.notes()
        ]

    def stop_reason(self) -> str:
        return next((reason for loss in self._losses() if (reason := loss.stop_reason())), "")

    def ramp(self, progress: Progress) -> float:
        return self._losses()[0].ramp(progress)

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        teacher = require_teacher(teacher)
        logits = self.combine_logits(teacher, batch)
        terms: dict[str, Tensor] = {}
        for number, (loss, weight) in enumerate(zip(self._losses(), self.weights, strict=True)):
            taps = strip_prefix(member_prefix(number), teacher.taps)
            member = Output(logits, taps, token_mask(self._teachers[number], batch.inputs))
            for name, value in loss(student, member, batch, progress).items():
                terms[name] = weight * value + terms.get(name, 0)
        return terms

    def combine_logits(self, committee: Output, batch: Batch) -> Tensor:
        """Return z (N, C), the combined logits of all teachers."""
        members = (committee.taps[logits_tap(number)] for number in range(len(self.parts)))
        logits = torch.stack([to_float32(member.detach()) for member in members])  # (K, N, C)
        if self.combine == "best":
            rows = torch.arange(logits.shape[1], device=logits.device)
            return logits[_cross_entropies(logits, batch).argmin(0), rows]
        if self.combine == "logits":
            weighted = [w * z for w, z in zip(self.weights, logits, strict=True)]
            return torch.stack(weighted).sum(0)
        log_p = (logits / self.temperature).log_softmax(2)
        weighted = [z + log(w) for w, z in zip(self.weights, log_p, strict=True)]
        return self.temperature * torch.stack(weighted).logsumexp(0)

    def _losses(self) -> list[Loss]:
        return [loss for loss in self.parts if isinstance(loss, Loss)]


def temperature_of(loss: Loss) -> float:
    """Return the temperature at which a loss reads logits; 1 for a loss without temperature.

    Raises:
        UserError: the losses of a sum have different temperatures.
    """
    # A sum itself reads logits only for its soft targets, whose weight is kd.
    readers = [inner for inner in losses_in(loss) if not isinstance(inner, Combined) or inner.kd]
    settings = [getattr(reader, "temperature", None) for reader in readers]
    temperatures = sorted({float(value) for value in settings if isinstance(value, float | int)})
    if len(temperatures) < 2:
        return temperatures[0] if temperatures else 1.0
    raise UserError(
        "the parts of the loss have the temperatures"
        f" {', '.join(f'{value:g}' for value in temperatures)}, and probabilities are averaged at"
        " one.",
        "  set them equal, or average logits: scheme.combine=logits",
    )


def _cross_entropies(logits: Tensor, batch: Batch) -> Tensor:
    """Return the cross-entropy (K, N) of each teacher for each sample, from logits (K, N, C)."""
    log_p = logits.log_softmax(2)
    if batch.soft_targets is not None:
        return -(batch.soft_targets.to(log_p.dtype) * log_p).sum(2)
    targets = batch.targets.expand(len(logits), -1)
    return F.nll_loss(log_p.transpose(1, 2), targets, reduction="none")
