"""A weighted sum of losses."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Unpack

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from torch import Tensor, nn

from kdrun.core.types import MAIN, Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes
from kdrun.loss.base import Loss, nest_phase
from kdrun.loss.functional import label_loss
from kdrun.loss.prefixes import add_prefix, strip_prefix, strip_tap_prefix
from kdrun.loss.table import build_loss
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_MODULE = "of "  # before a loss's name among the modules, which no method of ModuleDict has
_SEPARATOR = "/"  # between a loss's name and its names of taps, phases and terms


def _name(text: str) -> str:
    if not text or set(text) & {".", _SEPARATOR}:
        raise PydanticCustomError("key", "should be a name without . and /")
    return text


Terms = Annotated[dict[Annotated[str, AfterValidator(_name)], dict[str, Any]], Field(min_length=1)]


class Combined(WeightedLoss):
    """A weighted sum of losses, each with its own settings.

    Formula:
        ce CE(y, z_s) + kd T^2 KL(p_t || p_s) + weight sum_k w_k L_k
        L_k: the distillation terms of each loss in loss.terms, w_k: the weight among its settings

    Paper:
        none; a sum of the named losses

    Needs:
        - loss.terms, at least one loss
        - what each of these losses needs

    Notes:
        - Labels and soft targets count once, by ce and kd of the sum; the ce and kd of the losses
          in loss.terms are left out.
        - First phases of the losses come one after the other, each with its loss alone.
        - A weight that is good for one loss alone is not for several; sweep the weights.
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
        first: list[Phase] = []
        main: list[str] = []
        for name, loss in self._losses():
            *earlier, last = (
                nest_phase(phase, f"parts.{_MODULE}{name}") for phase in loss.phases()
            )
            first += [replace(phase, name=name + _SEPARATOR + phase.name) for phase in earlier]
            main += last.trains
        return (*first, replace(MAIN, trains=tuple(dict.fromkeys(main))))

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
        beside = [name for name, loss in self._losses() if not loss.uses_teacher and self.ce]
        if beside:
            notes.append(f"{', '.join(beside)} needs no teacher, and counts beside loss.ce")
        return notes

    def stop_reason(self) -> str:
        return next((why for _, loss in self._losses() if (why := loss.stop_reason())), "")

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
            return loss(_taps_of(student, name), _taps_of(teacher, name), batch, progress)
        terms = super().forward(student, teacher, batch, progress)
        # A sum of no terms has no gradient.
        return terms or {"ce": 0 * label_loss(student.logits, batch)}

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        for name, loss in self._losses():
            named = loss(_taps_of(student, name), _taps_of(teacher, name), batch, progress)
            for term, value in named.items():
                if term != "ce":
                    # The sum's own soft targets are logged as kd.
                    is_short = term == name and not (name == "kd" and self.kd)
                    terms[term if is_short else name + _SEPARATOR + term] = value
        return terms

    def _losses(self) -> Iterator[tuple[str, Loss]]:
        """Yield the name and the loss of each term."""
        for name, loss in self.parts.items():
            if isinstance(loss, Loss):
                yield name.removeprefix(_MODULE), loss


def _taps_of(output: Output | None, name: str) -> Output | None:
    """Return a network's output with the taps of one loss, by that loss's names."""
    return output and replace(output, taps=strip_prefix(name + _SEPARATOR, output.taps))
