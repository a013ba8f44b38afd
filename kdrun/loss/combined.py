"""A weighted sum of losses."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Unpack

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from torch import Tensor, nn

from kdrun.core.types import MAIN, Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes
from kdrun.loss.base import Loss, nest_phase
from kdrun.loss.prefixes import add_prefix, strip_output_prefix, strip_tap_prefix
from kdrun.loss.table import build_loss
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

# Prefix of a loss's name in the ModuleDict, so that no name equals a method of ModuleDict.
_MODULE = "of "
_SEPARATOR = "/"  # between the name of a loss and the names of its taps, phases and terms


def _name(text: str) -> str:
    if not text or set(text) & {".", _SEPARATOR}:
        raise PydanticCustomError("key", "should be a name without . and /")
    return text


Terms = Annotated[dict[Annotated[str, AfterValidator(_name)], dict[str, Any]], Field(min_length=1)]


class Combined(WeightedLoss):
    """A weighted sum of losses, each with separate settings.

    Formula:
        ce CE(y, z_s) + kd T^2 KL(p_t || p_s) + weight sum_k w_k L_k
        L_k: the distillation terms of loss k in loss.terms; w_k: the setting `weight` of this loss

    Paper:
        none; a sum of the named losses

    Needs:
        - loss.terms, at least one loss
        - what each of these losses needs

    Notes:
        - The sum has one term of the labels and one of the soft targets, weighted by its ce and kd;
          the ce and kd of the losses in loss.terms are ignored.
        - First phases of the losses come one after the other, each with only its loss.
        - A weight that is good for a single loss may not be good in a sum; sweep the weights.
        - simkd changes the student and can't be summed.
    """

    def __init__(self, terms: Terms, **weights: Unpack[TermWeights]) -> None:
        super().__init__(**weights)
        losses = {name: build_loss({"name": name, **node}) for name, node in terms.items()}
        self.without_soft_targets = [
            name for name, loss in losses.items() if isinstance(loss, WeightedLoss) and loss.kd
        ]
        for loss in losses.values():
            if isinstance(loss, WeightedLoss):
                loss.ce = loss.kd = 0.0
        self.parts = nn.ModuleDict({_MODULE + name: loss for name, loss in losses.items()})
        self.uses_teacher = bool(self.kd) or any(loss.uses_teacher for _, loss in self._losses())

    def taps(self) -> TapRequest:
        student: dict[str, str] = {}
        teacher: dict[str, str] = {}
        for name, loss in self._losses():
            request = loss.taps()
            student |= add_prefix(name + _SEPARATOR, request.student)
            teacher |= add_prefix(name + _SEPARATOR, request.teacher)
        return TapRequest(student, teacher)

    def phases(self) -> tuple[Phase, ...]:
        first_phases: list[Phase] = []
        main_globs: list[str] = []
        for name, loss in self._losses():
            *earlier, last = (
                nest_phase(phase, f"parts.{_MODULE}{name}") for phase in loss.phases()
            )
            first_phases += [
                replace(phase, name=name + _SEPARATOR + phase.name) for phase in earlier
            ]
            main_globs += last.trains
        return (*first_phases, replace(MAIN, trains=tuple(dict.fromkeys(main_globs))))

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        for name, loss in self._losses():
            prefix = name + _SEPARATOR
            teacher_taps = teacher and strip_tap_prefix(prefix, teacher)
            loss.bind(strip_tap_prefix(prefix, student), teacher_taps, data)

    def notes(self) -> list[str]:
        notes = [f"{name}: {note}" for name, loss in self._losses() for note in loss.notes()]
        if self.without_soft_targets:
            names = ", ".join(self.without_soft_targets)
            notes.append(f"the soft targets of {names} are left out: see loss.kd")
        on_labels = [name for name, loss in self._losses() if not loss.uses_teacher and self.ce]
        if on_labels:
            notes.append(f"{', '.join(on_labels)} needs no teacher, and counts beside loss.ce")
        return notes

    def stop_reason(self) -> str:
        return next((reason for _, loss in self._losses() if (reason := loss.stop_reason())), "")

    def ramp(self, progress: Progress) -> float:
        shares = (loss.ramp(progress) for _, loss in self._losses())
        return super().ramp(progress) * min(shares, default=1.0)

    def prepare(self, batch: Batch, progress: Progress) -> Batch:
        for _, loss in self._losses():
            batch = loss.prepare(batch, progress)
        return batch

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        name, separator, phase = progress.phase.partition(_SEPARATOR)
        if separator:
            loss, progress = self.parts[_MODULE + name], replace(progress, phase=phase)
            prefix = name + separator
            outputs = (strip_output_prefix(prefix, output) for output in (student, teacher))
            return loss(*outputs, batch, progress)
        return super().forward(student, teacher, batch, progress)

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        for name, loss in self._losses():
            prefix = name + _SEPARATOR
            outputs = (strip_output_prefix(prefix, output) for output in (student, teacher))
            for term, value in loss(*outputs, batch, progress).items():
                if term != "ce":
                    # The name `kd` is taken if the sum itself has soft targets.
                    is_short = term == name and not (name == "kd" and self.kd)
                    terms[term if is_short else prefix + term] = value
        return terms

    def _losses(self) -> Iterator[tuple[str, Loss]]:
        """Yield the name and the loss of each term."""
        for name, loss in self.parts.items():
            if isinstance(loss, Loss):
                yield name.removeprefix(_MODULE), loss
