"""The student's weights pulled to the teacher's."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, Unpack

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapShapes
from kdrun.core.unknown import suggest
from kdrun.loss.base import no_autocast, to_float32
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

Weights = dict[str, nn.Parameter]
WeightPair = Annotated[list[str], Field(min_length=2, max_length=2)]
WeightPairs = Literal["auto"] | Annotated[list[WeightPair], Field(min_length=1)]


@dataclass(frozen=True)
class _Pair:
    """A weight of the student, and the name of the teacher's among the buffers."""

    student: Tensor
    teacher: str
    projected: bool


class Parameters(WeightedLoss):
    """The distance of the student's weights W_s from the teacher's W_t, or from A W_t B.

    A (rows of W_s x rows of W_t) and B (columns of W_t x columns of W_s) are learned where the
    shapes of a pair differ; kernels must agree. `squared` is sum |W_s - W_t|^2 / sum |W_t|^2 over
    all pairs; `kl` the mean over pairs of the mean over rows of KL(softmax(W_t) || softmax(W_s)),
    each row being the weights of one output.

    Training ends after the epoch in which the root of `squared` falls under `until`.
    """

    copies_teacher_weights = copies_teacher_classifier = True

    def __init__(
        self,
        pairs: WeightPairs,
        project: bool,
        distance: Literal["squared", "kl"],
        until: PositiveFloat | None,
        **shares: Unpack[TermWeights],
    ) -> None:
        super().__init__(**shares)
        self.pairs, self.project, self.distance, self.until = pairs, project, distance, until

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if teacher is None:
            raise UserError("the loss 'parameters' needs a teacher's weights.")
        own, other = (dict(each.network.named_parameters()) for each in (student, teacher))
        self.rows, self.columns = nn.ParameterDict(), nn.ParameterDict()
        self.joined: list[_Pair] = []
        for name, its in self._pairs(own, other):
            weight, wanted = own[name], other[its].detach().clone()
            if weight.shape != wanted.shape and not self._can_project(weight, wanted):
                self._refuse(name, its, weight, wanted)
                continue
            place = f"of {name}".replace(".", "/")
            self.register_buffer(place, wanted, persistent=False)
            projected = weight.shape != wanted.shape
            if projected:
                self.rows[place] = _selection(weight.shape[0], wanted.shape[0])
                self.columns[place] = _selection(wanted.shape[1], weight.shape[1])
            self.joined.append(_Pair(weight, place, projected))
        self.left = len(own) - len(self.joined)
        if not any(pair.student.dim() > 1 for pair in self.joined):
            raise UserError(
                "no weights of student and teacher have the same name and shape.",
                "  name pairs yourself: loss.pairs=[[STUDENT_WEIGHT, TEACHER_WEIGHT]]"
                + ("" if self.project else ", or allow loss.project=true"),
            )

    def notes(self) -> list[str]:
        through = sum(pair.projected for pair in self.joined)
        straight = len(self.joined) - through
        return [
            f"{straight} weights are pulled to the teacher's, {through} through learned"
            f" projections, {self.left} are free"
        ]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        with no_autocast(student.logits):
            return {"parameters": self._squared() if self.distance == "squared" else self._kl()}

    def stop_reason(self) -> str:
        if self.until is None:
            return ""
        with torch.no_grad():
            found = self._squared().sqrt().item()
        if found >= self.until:
            return ""
        return f"the weights differ from the teacher's by {found:.3g}, under {self.until:.3g}"

    def _weights(self) -> Iterator[tuple[Tensor, Tensor]]:
        for pair in self.joined:
            wanted = to_float32(self.get_buffer(pair.teacher))
            if pair.projected:
                rows, columns = self.rows[pair.teacher], self.columns[pair.teacher]
                wanted = torch.einsum("ab,bc...,cd->ad...", rows, wanted, columns)
            yield to_float32(pair.student), wanted

    def _squared(self) -> Tensor:
        pairs = list(self._weights())
        differences = torch.stack([(own - wanted).square().sum() for own, wanted in pairs])
        return differences.sum() / torch.stack([wanted.square().sum() for _, wanted in pairs]).sum()

    def _kl(self) -> Tensor:
        rows = [(_rows(own), _rows(wanted)) for own, wanted in self._weights()]
        each = [F.kl_div(*pair, reduction="batchmean", log_target=True) for pair in rows]
        return torch.stack(each).mean()

    def _pairs(
        self, own: dict[str, nn.Parameter], other: dict[str, nn.Parameter]
    ) -> list[tuple[str, str]]:
        if self.pairs == "auto":
            return [(name, name) for name in own if name in other]
        for number, (role, known) in enumerate((("student", own), ("teacher", other))):
            for pair in self.pairs:
                if pair[number] not in known:
                    raise UserError(
                        f"the {role} has no weight {pair[number]!r}.",
                        f"  {suggest(pair[number], known)}",
                    )
        return [(name, its) for name, its in self.pairs]

    def _can_project(self, student: Tensor, teacher: Tensor) -> bool:
        return (
            self.project
            and student.dim() == teacher.dim() > 1
            and student.shape[2:] == teacher.shape[2:]
        )

    def _refuse(self, name: str, its: str, student: Tensor, teacher: Tensor) -> None:
        """Complain of a pair that was asked for and can't be joined; others are left free."""
        if self.pairs == "auto":
            return
        shapes = f"{tuple(student.shape)} and {tuple(teacher.shape)}"
        raise UserError(
            f"the weights {name!r} and {its!r} have the shapes {shapes}, which can't be joined.",
            "  project=true joins matrices and kernels of one size",
        )


def _rows(weights: Tensor) -> Tensor:
    """The weights of each output as the log of shares; a vector is one row."""
    return (weights.flatten(1) if weights.dim() > 1 else weights[None]).log_softmax(dim=1)


def _selection(rows: int, columns: int) -> nn.Parameter:
    """A projection to start from: every so many-th of what is projected, so that sizes stay."""
    chosen = (
        torch.arange(rows) * columns // rows if columns >= rows else torch.arange(rows) % columns
    )
    return nn.Parameter(F.one_hot(chosen, columns).float())
