"""What a student learns from several teachers at once."""

from math import log
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes
from kdrun.loss.base import Loss, to_float32
from kdrun.loss.combined import Combined
from kdrun.loss.committee_taps import ANSWER, answers, member, named, own, renamed
from kdrun.loss.table import build_loss

Combine = Literal["probabilities", "logits", "best"]


class Teachers(Loss):
    """A loss, of one answer made of several teachers' and of each teacher's own features.

    probabilities: z = T log sum_k w_k softmax(z_k / T), T the loss's own temperature; whatever
    the loss softens by T is then the weighted mean of the teachers' softened probabilities
    (Hinton et al. 2015, arXiv:1503.02531, section 1: the arithmetic mean of an ensemble).
    logits: z = sum_k w_k z_k, whose softmax is their geometric mean, normalized (the same).
    best: of each sample, z of the teacher with the lowest cross-entropy with its label.

    The terms are computed with z and the features of each teacher in turn, by adapters of its
    own, and summed with the weights w_k, which sum to 1.

    Args:
        loss: the config node of the loss.
        combine: how logits are made one.
        weights: above 0, one a teacher.
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

    def taps(self) -> TapRequest:
        inner = self._each()[0].taps()
        teachers = answers(len(self.parts))
        for number in range(len(self.parts)):
            teachers |= named(number, inner.teacher)
        return TapRequest(inner.student, teachers)

    def phases(self) -> tuple[Phase, ...]:
        paths = [f"loss.parts.{number}." for number in range(len(self.parts))]
        return tuple(renamed(phase, {"loss.": paths}) for phase in self._each()[0].phases())

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        parts = self._each()
        if teacher is None or not parts[0].uses_teacher:
            raise UserError(
                f"the loss {self.name!r} learns from no teacher, and several were given.",
                "  use scheme=none, or a loss that does: loss=kd",
            )
        for number, part in enumerate(parts):
            part.bind(student, member(teacher, number), data)
        if self.combine == "probabilities":
            self.temperature = temperature_of(parts[0])

    def notes(self) -> list[str]:
        return [
            f"teacher {number}: {note}"
            for number, part in enumerate(self._each(), start=1)
            for note in part.notes()
        ]

    def stop_reason(self) -> str:
        return next((why for part in self._each() if (why := part.stop_reason())), "")

    def ramp(self, progress: Progress) -> float:
        return self._each()[0].ramp(progress)

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        if teacher is None:
            raise TypeError("this loss reads several teachers, and none was given")
        logits = self.joined(teacher, batch)
        found: dict[str, Tensor] = {}
        for number, (part, weight) in enumerate(zip(self._each(), self.weights, strict=True)):
            one = Output(logits, own(teacher.taps, number))
            for name, value in part(student, one, batch, progress).items():
                found[name] = weight * value + (found.get(name, 0))
        return found

    def joined(self, teacher: Output, batch: Batch) -> Tensor:
        """One (N, C) of all teachers' logits."""
        answered = (teacher.taps[f"{number}/{ANSWER}"] for number in range(len(self.parts)))
        each = torch.stack([to_float32(logits.detach()) for logits in answered])
        if self.combine == "best":
            rows = torch.arange(each.shape[1], device=each.device)
            return each[_errors(each, batch).argmin(0), rows]
        if self.combine == "logits":
            return torch.stack([w * one for w, one in zip(self.weights, each, strict=True)]).sum(0)
        soft = (each / self.temperature).log_softmax(2)
        shares = [one + log(w) for w, one in zip(self.weights, soft, strict=True)]
        return self.temperature * torch.stack(shares).logsumexp(0)

    def _each(self) -> list[Loss]:
        return [part for part in self.parts if isinstance(part, Loss)]


def temperature_of(loss: Loss) -> float:
    """The temperature at which a loss reads logits; 1 where it has none of its own.

    Raises:
        UserError: its parts have several, and a mean of probabilities is made at one.
    """
    parts = [part for part in loss.modules() if isinstance(part, Loss)]
    own = [part for part in parts if not isinstance(part, Combined) or part.kd]
    given = [getattr(part, "temperature", None) for part in own]
    found = sorted({float(value) for value in given if isinstance(value, float | int)})
    if len(found) < 2:
        return found[0] if found else 1.0
    raise UserError(
        f"the parts of the loss have the temperatures {', '.join(f'{value:g}' for value in found)},"
        " and probabilities are averaged at one.",
        "  set them equal, or average logits: scheme.combine=logits",
    )


def _errors(logits: Tensor, batch: Batch) -> Tensor:
    """The cross-entropy of each teacher on each sample (K, N), of logits (K, N, C)."""
    soft = logits.log_softmax(2)
    if batch.soft_targets is not None:
        return -(batch.soft_targets.to(soft.dtype) * soft).sum(2)
    targets = batch.targets.expand(len(logits), -1)
    return F.nll_loss(soft.transpose(1, 2), targets, reduction="none")
