"""Several losses at once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Unpack

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from torch import Tensor, nn

from kdrun.core.types import (
    MAIN,
    Batch,
    DataInfo,
    Output,
    Phase,
    Progress,
    TapRequest,
    TapShapes,
)
from kdrun.loss.base import Loss, label_loss, nest_phase
from kdrun.loss.table import build_loss
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_PART = "of {}"  # a part's name among the modules, where no method of theirs has it
_BETWEEN = "/"  # a part's key and its own name for a tap, a phase, a term


def _key(text: str) -> str:
    if not text or set(text) & {".", _BETWEEN}:
        raise PydanticCustomError("key", "should be a name without . and /")
    return text


Key = Annotated[str, AfterValidator(_key)]
Terms = Annotated[dict[Key, dict[str, Any]], Field(min_length=1)]


class Combined(WeightedLoss):
    """The sum of any losses' own terms, each weighted as its keys say.

    Labels and Hinton's soft targets count once, by `ce` and `kd` of the sum: those that other
    methods have beside their own terms are left out. First phases of the parts come one after the
    other, each with its part alone.
    """

    def __init__(self, terms: Terms, **shares: Unpack[TermWeights]) -> None:
        super().__init__(**shares)
        built = {key: build_loss({"name": key, **node}) for key, node in terms.items()}
        self.left = [
            key for key, part in built.items() if isinstance(part, WeightedLoss) and part.kd
        ]
        for part in built.values():
            if isinstance(part, WeightedLoss):
                part.ce = part.kd = 0.0
        self.parts = nn.ModuleDict({_PART.format(key): part for key, part in built.items()})
        self.uses_teacher = bool(self.kd) or any(part.uses_teacher for _, part in self._each())

    def taps(self) -> TapRequest:
        requests = {key: part.taps() for key, part in self._each()}
        return TapRequest(
            *(
                {
                    f"{key}{_BETWEEN}{name}": place
                    for key, asked in requests.items()
                    for name, place in getattr(asked, role).items()
                }
                for role in ("student", "teacher")
            )
        )

    def phases(self) -> tuple[Phase, ...]:
        first = [
            replace(
                nest_phase(phase, f"parts.{_PART.format(key)}"), name=f"{key}{_BETWEEN}{phase.name}"
            )
            for key, part in self._each()
            for phase in part.phases()[:-1]
        ]
        mains = [self._inside(part.phases()[-1], key) for key, part in self._each()]
        last = [glob for phase in mains for glob in phase.trains]
        return (*first, replace(MAIN, trains=tuple(dict.fromkeys(last))))

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        for key, part in self._each():
            part.bind(_seen(student, key), teacher and _seen(teacher, key), data)

    def notes(self) -> list[str]:
        found = [f"{key}: {note}" for key, part in self._each() for note in part.notes()]
        if self.left:
            found.append(f"the soft targets of {', '.join(self.left)} are left out: see loss.kd")
        beside = [key for key, part in self._each() if not part.uses_teacher and self.ce]
        if beside:
            found.append(f"{', '.join(beside)} needs no teacher, and counts beside loss.ce")
        return found

    def stop_reason(self) -> str:
        return next((why for _, part in self._each() if (why := part.stop_reason())), "")

    def ramp(self, progress: Progress) -> float:
        return super().ramp(progress) * min(
            (part.ramp(progress) for _, part in self._each()), default=1.0
        )

    def prepare(self, batch: Batch, progress: Progress) -> Batch:
        for _, part in self._each():
            batch = part.prepare(batch, progress)
        return batch

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        key, between, phase = progress.phase.partition(_BETWEEN)
        if between:
            own, other = _answer(student, key), _answer(teacher, key)
            part = self.parts[_PART.format(key)]
            return part(own, other, batch, replace(progress, phase=phase))
        # A sum of no terms has no gradient.
        found = super().forward(student, teacher, batch, progress)
        return found or {"ce": 0 * label_loss(student.logits, batch)}

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for key, part in self._each():
            own = part(_answer(student, key), _answer(teacher, key), batch, progress)
            for name, value in own.items():
                if name != "ce":
                    own_name = name == key and not (name == "kd" and self.kd)
                    found[name if own_name else f"{key}{_BETWEEN}{name}"] = value
        return found

    def _inside(self, phase: Phase, key: str) -> Phase:
        return nest_phase(phase, f"parts.{_PART.format(key)}")

    def _each(self) -> list[tuple[str, Loss]]:
        start = _PART.format("")
        named = ((name.removeprefix(start), part) for name, part in self.parts.items())
        return [(key, part) for key, part in named if isinstance(part, Loss)]


def _seen(network: TapShapes, key: str) -> TapShapes:
    return TapShapes(_own(network.shapes, key), network.network, _own(network.paths, key))


def _answer(output: Output | None, key: str) -> Output | None:
    return output and replace(output, taps=_own(output.taps, key))


def _own(named: Mapping[str, Any], key: str) -> dict[str, Any]:
    """What belongs to a part, under the part's own names."""
    start = f"{key}{_BETWEEN}"
    mine = [name for name in named if name.startswith(start)]
    return {name.removeprefix(start): named[name] for name in mine}
