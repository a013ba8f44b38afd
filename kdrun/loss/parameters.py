"""Distance between the weights of student and teacher."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, Unpack

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapShapes
from kdrun.core.unknown import suggest
from kdrun.loss.functional import no_autocast, to_float32
from kdrun.loss.logits import kl_divergence
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

Weights = dict[str, nn.Parameter]
NamePair = Annotated[list[str], Field(min_length=2, max_length=2)]
NamePairs = Literal["auto"] | Annotated[list[NamePair], Field(min_length=1)]


@dataclass(frozen=True)
class WeightPair:
    """A weight of the student and the weight of the teacher that it is compared with.

    Attributes:
        student: the student's parameter.
        teacher: the name of the buffer with the teacher's weight.
        is_projected: whether learned matrices bring the teacher's weight to the student's shape.
    """

    student: Tensor
    teacher: str
    is_projected: bool


class _WeightTensors(NamedTuple):
    """Weights of the same shape in float32 or float64: W_s, and W_t or A W_t B."""

    student: Tensor
    teacher: Tensor


class Parameters(WeightedLoss):
    """Distance between the weights of student and teacher.

    Formula:
        distance=squared: sum |W_s - W_t|^2 / sum |W_t|^2, over all pairs of weights
        distance=kl: mean over pairs and rows of KL(softmax(W_t) || softmax(W_s)), a row being the
          weights of one output
        where shapes differ, A W_t B replaces W_t, with learned matrices A (rows of W_s x rows of
          W_t) and B (columns of W_t x columns of W_s)

    Paper:
        none

    Needs:
        - weights of both networks with the same names, or pairs of names
        - equal kernel sizes within a pair

    Notes:
        - It reads no image. Networks that compute the same function can have very different
          weights, so it suits students that start from the teacher or have its layout.
        - Weights whose shapes can't be compared are left out; the run says how many.
        - With `until`, training ends after the epoch in which the square root of distance=squared
          falls below this value.
        - The term of distance=kl is small, as the softmax of a row of weights is nearly uniform.
          Raise loss.weight.
    """

    copies_teacher_weights = copies_teacher_classifier = True

    def __init__(
        self,
        pairs: NamePairs,
        project: bool,
        distance: Literal["squared", "kl"],
        until: PositiveFloat | None,
        **weights: Unpack[TermWeights],
    ) -> None:
        super().__init__(**weights)
        self.pairs, self.project, self.distance, self.until = pairs, project, distance, until
        self.rows, self.columns = nn.ParameterDict(), nn.ParameterDict()
        self.weight_pairs: list[WeightPair] = []
        self.free = 0  # number of the student's weights that are in no pair

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if teacher is None:
            raise UserError("the loss 'parameters' needs a teacher's weights.")
        students, teachers = (dict(taps.network.named_parameters()) for taps in (student, teacher))
        self.rows, self.columns = nn.ParameterDict(), nn.ParameterDict()
        self.weight_pairs = []
        for student_name, teacher_name in self._name_pairs(students, teachers):
            self._add_pair(student_name, students[student_name], teacher_name, teachers)
        self.free = len(students) - len(self.weight_pairs)
        if not any(pair.student.dim() > 1 for pair in self.weight_pairs):
            raise UserError(
                "no weights of student and teacher have the same name and shape.",
                "  name pairs yourself: loss.pairs=[[STUDENT_WEIGHT, TEACHER_WEIGHT]]"
                + ("" if self.project else ", or allow loss.project=true"),
            )

    def notes(self) -> list[str]:
        projected = sum(pair.is_projected for pair in self.weight_pairs)
        direct = len(self.weight_pairs) - projected
        return [
            f"{direct} weights are pulled to the teacher's, {projected} through learned"
            f" projections, {self.free} are free"
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
            distance = self._squared().sqrt().item()
        if distance >= self.until:
            return ""
        return f"the weights differ from the teacher's by {distance:.3g}, under {self.until:.3g}"

    def _add_pair(
        self, name: str, weight: nn.Parameter, teacher_name: str, teachers: Weights
    ) -> None:
        """Add a pair of weights, with its projections, if they can be compared."""
        target = teachers[teacher_name].detach().clone()
        is_projected = weight.shape != target.shape
        if is_projected and not self._can_project(weight, target):
            if self.pairs != "auto":  # an automatic pair is left out
                raise self._different_shapes(name, teacher_name, weight, target)
            return
        key = f"of {name}".replace(".", "/")
        self.register_buffer(key, target, persistent=False)
        if is_projected:
            self.rows[key] = _selection(weight.shape[0], target.shape[0])
            self.columns[key] = _selection(target.shape[1], weight.shape[1])
        self.weight_pairs.append(WeightPair(weight, key, is_projected))

    def _tensors(self) -> Iterator[_WeightTensors]:
        """Yield the tensors of each pair, with the projections applied."""
        for pair in self.weight_pairs:
            target = to_float32(self.get_buffer(pair.teacher))
            if pair.is_projected:
                rows, columns = self.rows[pair.teacher], self.columns[pair.teacher]
                target = torch.einsum("ab,bc...,cd->ad...", rows, target, columns)
            yield _WeightTensors(to_float32(pair.student), target)

    def _squared(self) -> Tensor:
        pairs = list(self._tensors())
        differences = torch.stack([(pair.student - pair.teacher).square().sum() for pair in pairs])
        sizes = torch.stack([pair.teacher.square().sum() for pair in pairs])
        return differences.sum() / sizes.sum()

    def _kl(self) -> Tensor:
        divergences = [
            kl_divergence(_log_rows(pair.student), _log_rows(pair.teacher))
            for pair in self._tensors()
        ]
        return torch.stack(divergences).mean()

    def _name_pairs(self, students: Weights, teachers: Weights) -> list[tuple[str, str]]:
        """Return pairs (student, teacher) of names: the config's, or all that both have."""
        if self.pairs == "auto":
            return [(name, name) for name in students if name in teachers]
        for student, _ in self.pairs:
            _require_weight("student", student, students)
        for _, teacher in self.pairs:
            _require_weight("teacher", teacher, teachers)
        return [(student, teacher) for student, teacher in self.pairs]

    def _can_project(self, student: Tensor, teacher: Tensor) -> bool:
        return (
            self.project
            and student.dim() == teacher.dim() > 1
            and student.shape[2:] == teacher.shape[2:]
        )

    def _different_shapes(
        self, name: str, teacher_name: str, student: Tensor, teacher: Tensor
    ) -> UserError:
        """Return the error for a pair of the config whose weights can't be compared."""
        hint = "leave this pair out: only matrices, and kernels of the same size, can be projected"
        if not self.project:
            hint = "loss.project=true compares matrices, and kernels of the same size"
        return UserError(
            f"the weights {name!r} and {teacher_name!r} have the shapes {tuple(student.shape)} and"
            f" {tuple(teacher.shape)}, which can't be compared.",
            f"  {hint}",
        )


def _require_weight(role: str, name: str, weights: Weights) -> None:
    if name not in weights:
        raise UserError(f"the {role} has no weight {name!r}.", f"  {suggest(name, weights)}")


def _log_rows(weights: Tensor) -> Tensor:
    """Return the log-softmax over the weights of each output; a vector is a single row."""
    return (weights.flatten(1) if weights.dim() > 1 else weights[None]).log_softmax(dim=1)


def _selection(rows: int, columns: int) -> nn.Parameter:
    """Return an initial projection: each row selects one input, and these are evenly spaced.

    So the projected weights have the magnitude of the teacher's weights.
    """
    selected = (
        torch.arange(rows) * columns // rows if columns >= rows else torch.arange(rows) % columns
    )
    return nn.Parameter(nn.functional.one_hot(selected, columns).float())
