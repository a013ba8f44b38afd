"""The loss of networks that learn from each other and from the labels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import PositiveFloat
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.ranges import AtLeastTwo
from kdrun.core.taps import token_mask
from kdrun.core.types import MAIN, Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes
from kdrun.loss.base import Loss, refuse_copied_weights
from kdrun.loss.committee_taps import (
    logits_tap,
    logits_taps,
    member_path,
    member_prefix,
    member_shapes,
    move_phase,
)
from kdrun.loss.functional import label_loss
from kdrun.loss.prefixes import add_prefix, strip_prefix
from kdrun.loss.pseudo_labels import with_pseudo_labels
from kdrun.loss.table import build_loss


class _Pair(NamedTuple):
    """Numbers of two members of the committee: `learner` learns from `peer`."""

    learner: int
    peer: int

    @property
    def module(self) -> str:
        """The name of the pair's loss in the module `pairs`."""
        return f"{self.learner}_{self.peer}"


class Mutual(Loss):
    """The loss of scheme=mutual; `kdrun.scheme.mutual.Mutual` has its formula and paper.

    The engine's student is a committee: one network that holds n members, the first of which is the
    student of the run. Each of the n (n - 1) pairs of members has a separate inner loss with its
    adapters. The output of the member that teaches is detached.

    Args:
        loss: the config node of the inner loss.
        members: number of members, n.
        temperature: replaces all temperatures in the node; None leaves them.
    """

    uses_teacher = False

    def __init__(
        self, loss: dict[str, Any], members: AtLeastTwo, temperature: PositiveFloat | None
    ) -> None:
        super().__init__()
        self.name, self.members = loss["name"], members
        node = loss if temperature is None else with_temperature(loss, temperature)
        self.is_changed = node != loss
        self.temperature = temperature
        self._pairs = [_Pair(i, j) for i in range(members) for j in range(members) if i != j]
        self.pairs = nn.ModuleDict({pair.module: build_loss(node) for pair in self._pairs})
        # Until `bind` finds the modules of the members, the names of their taps stand for them.
        self.paths = [logits_tap(number) for number in range(members)]
        self._networks: list[nn.Module] = []  # in a list, so that the loss does not save them

    @property
    def needs_labels(self) -> bool:
        return False

    def taps(self) -> TapRequest:
        inner = self._loss(self._pairs[0]).taps()
        taps = logits_taps(self.members)
        for number in range(self.members):
            taps |= add_prefix(member_prefix(number, "student"), inner.student)
            taps |= add_prefix(member_prefix(number, "teacher"), inner.teacher)
        return TapRequest(taps)

    def phases(self) -> tuple[Phase, ...]:
        phases = [
            [move_phase(phase, self._prefixes(pair)) for phase in self._loss(pair).phases()]
            for pair in self._pairs
        ]
        return tuple(_unite(pair_phases) for pair_phases in zip(*phases, strict=True))

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        first = self._loss(self._pairs[0])
        if not first.uses_teacher:
            raise UserError(
                f"the loss {self.name!r} learns from no teacher, and peers teach each other.",
                "  use scheme=none, or a loss that does: loss=kd",
            )
        refuse_copied_weights(first, self.name, "mutual")
        self.paths = [member_path(student, number) for number in range(self.members)]
        self._networks = [student.network.get_submodule(path) for path in self.paths]
        for pair in self._pairs:
            learner = member_shapes(student, pair.learner, "student")
            peer = member_shapes(student, pair.peer, "teacher")
            self._loss(pair).bind(learner, peer, data)

    def notes(self) -> list[str]:
        names = ["student", *(f"peer{number}" for number in range(1, self.members))]
        notes = [
            f"{names[pair.learner]} from {names[pair.peer]}: {note}"
            for pair in self._pairs
            for note in self._loss(pair).notes()
        ]
        if self.is_changed:
            notes.append(f"the loss is taken at temperature {self.temperature}: scheme.temperature")
        return notes

    def ramp(self, progress: Progress) -> float:
        return self._loss(self._pairs[0]).ramp(progress)

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        is_main = progress.phase == MAIN.name
        if is_main:
            for number in range(self.members):
                logits = student.taps[logits_tap(number)]
                terms[f"{_term_prefix(number)}ce"] = label_loss(logits, batch)
        for pair in self._pairs:
            for name, value in self._pair_terms(pair, student, batch, progress).items():
                if is_main and name == "ce":
                    continue  # the loop above has added the term of the labels once
                key = f"{_term_prefix(pair.learner)}{name}"
                terms[key] = value / (self.members - 1) + terms.get(key, 0)
        return terms

    def _pair_terms(
        self, pair: _Pair, committee: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        """Return the named terms of a pair's inner loss."""
        loss, taps = self._loss(pair), committee.taps
        student_taps = strip_prefix(member_prefix(pair.learner, "student"), taps)
        teacher_taps = strip_prefix(member_prefix(pair.peer, "teacher"), taps)
        masks = [token_mask(network, batch.inputs) for network in self._networks]
        learner = Output(taps[logits_tap(pair.learner)], student_taps, masks[pair.learner])
        peer = Output(
            taps[logits_tap(pair.peer)].detach(),
            {name: value.detach() for name, value in teacher_taps.items()},
            masks[pair.peer],
        )
        return loss(learner, peer, with_pseudo_labels(batch, loss, peer), progress)

    def _loss(self, pair: _Pair) -> Loss:
        loss = self.pairs[pair.module]
        if not isinstance(loss, Loss):
            raise TypeError(f"the module of pair {pair.module} is not a loss")
        return loss

    def _prefixes(self, pair: _Pair) -> dict[str, list[str]]:
        """Return prefix in the globs of a pair's loss -> prefixes in the globs of this loss."""
        return {
            "student.": [f"student.{self.paths[pair.learner]}."],
            "loss.": [f"loss.pairs.{pair.module}."],
        }


def with_temperature(node: Mapping[str, Any], temperature: float) -> dict[str, Any]:
    """Return a loss's config node with a new temperature; the terms of a sum get it too."""
    changed = {**node}
    if "temperature" in changed:
        changed["temperature"] = temperature
    if isinstance(changed.get("terms"), Mapping):
        terms = changed["terms"].items()
        changed["terms"] = {name: with_temperature(term, temperature) for name, term in terms}
    return changed


def _unite(phases: Sequence[Phase]) -> Phase:
    """Return a phase that trains all parameters that any of the phases trains."""
    globs = dict.fromkeys(glob for phase in phases for glob in phase.trains)
    return replace(phases[0], trains=tuple(globs))


def _term_prefix(number: int) -> str:
    """Return the prefix of a member's terms: none for the student, `peer1/` for the first peer."""
    return f"peer{number}/" if number else ""
