"""Networks that learn from each other while they learn from the labels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import PositiveFloat
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.ranges import AtLeastTwo
from kdrun.core.types import MAIN, Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes
from kdrun.loss.base import Loss, label_loss
from kdrun.loss.committee_taps import (
    ANSWER,
    answers,
    member,
    member_path,
    named,
    own,
    renamed,
    require_moving,
)
from kdrun.loss.pseudo_labels import with_pseudo_labels
from kdrun.loss.table import build_loss


class Mutual(Loss):
    """Zhang et al. 2018 (arXiv:1706.00384), equations 3 to 6 and 8, for any loss.

    sum_i [CE(y, z_i) + 1 / (n - 1) sum_{j != i} L(z_i, z_j)] over n networks, where L is the loss
    without its label term and nothing is differentiated by what teaches: the gradient of each
    network is that of its own bracket. With L = KL(p_j || p_i) at T = 1 it is the paper's.

    The student that it is given is a committee; the first member is the run's student. Each of
    the n (n - 1) pairs has adapters of its own.

    Args:
        loss: the config node of L.
        members: n.
        temperature: takes the place of those in the node; None leaves them.
    """

    uses_teacher = False

    def __init__(
        self, loss: dict[str, Any], members: AtLeastTwo, temperature: PositiveFloat | None
    ) -> None:
        super().__init__()
        self.name, self.members = loss["name"], members
        node = loss if temperature is None else softened(loss, temperature)
        self.changed = node != loss
        self.temperature = temperature
        self.pairs = nn.ModuleDict(
            {f"{i}_{j}": build_loss(node) for i in range(members) for j in range(members) if i != j}
        )

    @property
    def needs_labels(self) -> bool:
        return False

    def taps(self) -> TapRequest:
        inner = self._pair(0, 1).taps()
        found = answers(self.members)
        for number in range(self.members):
            found |= named(number, inner.student, "student")
            found |= named(number, inner.teacher, "teacher")
        return TapRequest(found)

    def phases(self) -> tuple[Phase, ...]:
        each = [
            [renamed(phase, self._starts(i, j)) for phase in self._pair(i, j).phases()]
            for i, j in self._numbers()
        ]
        return tuple(_at_once(same) for same in zip(*each, strict=True))

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if not self._pair(0, 1).uses_teacher:
            raise UserError(
                f"the loss {self.name!r} learns from no teacher, and peers teach each other.",
                "  use scheme=none, or a loss that does: loss=kd",
            )
        require_moving(self._pair(0, 1), self.name, "mutual")
        self.paths = [member_path(student, number) for number in range(self.members)]
        for i, j in self._numbers():
            seats = member(student, i, "student"), member(student, j, "teacher")
            self._pair(i, j).bind(*seats, data)

    def notes(self) -> list[str]:
        names = ["student", *(f"peer{number}" for number in range(1, self.members))]
        told = [
            f"{names[i]} from {names[j]}: {note}"
            for i, j in self._numbers()
            for note in self._pair(i, j).notes()
        ]
        changed = f"the loss is taken at temperature {self.temperature}: scheme.temperature"
        return [*told, changed] if self.changed else told

    def ramp(self, progress: Progress) -> float:
        return self._pair(0, 1).ramp(progress)

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        main = progress.phase == MAIN.name
        if main:
            for number in range(self.members):
                logits = student.taps[f"{number}/{ANSWER}"]
                found[f"{_called(number)}ce"] = label_loss(logits, batch)
        for i, j in self._numbers():
            learner = Output(student.taps[f"{i}/{ANSWER}"], own(student.taps, i, "student"))
            taught = own(student.taps, j, "teacher")
            peer = Output(
                student.taps[f"{j}/{ANSWER}"].detach(),
                {name: value.detach() for name, value in taught.items()},
            )
            pair = self._pair(i, j)
            for name, value in pair(
                learner, peer, with_pseudo_labels(batch, pair, peer), progress
            ).items():
                if main and name == "ce":
                    continue  # the labels count once, above
                key = f"{_called(i)}{name}"
                found[key] = value / (self.members - 1) + found.get(key, 0)
        return found

    def _pair(self, learner: int, peer: int) -> Loss:
        part = self.pairs[f"{learner}_{peer}"]
        if not isinstance(part, Loss):
            raise TypeError("a pair is joined by a loss")
        return part

    def _numbers(self) -> list[tuple[int, int]]:
        """Who learns from whom."""
        each = range(self.members)
        return [(i, j) for i in each for j in each if i != j]

    def _starts(self, learner: int, peer: int) -> dict[str, list[str]]:
        """What a pair calls its student and itself, as the whole calls them."""
        return {
            "student.": [f"student.{self.paths[learner]}."],
            "loss.": [f"loss.pairs.{learner}_{peer}."],
        }


def softened(node: Mapping[str, Any], temperature: float) -> dict[str, Any]:
    """A loss's node with another temperature wherever it has one, in the parts of a sum too."""
    found = {**node}
    if "temperature" in found:
        found["temperature"] = temperature
    if isinstance(found.get("terms"), Mapping):
        found["terms"] = {key: softened(one, temperature) for key, one in found["terms"].items()}
    return found


def _at_once(phases: Sequence[Phase]) -> Phase:
    """One phase of all pairs, in which learns what learns in any."""
    globs = dict.fromkeys(glob for phase in phases for glob in phase.trains)
    return replace(phases[0], trains=tuple(globs))


def _called(number: int) -> str:
    """What the terms of a member begin with: nothing for the student."""
    return f"peer{number}/" if number else ""
