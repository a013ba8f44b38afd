"""A wrapper that gives a loss a copy of the student as teacher: an average or a snapshot."""

from copy import deepcopy
from typing import Any, Literal, NamedTuple, Self

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.ranges import UnitBelowOne
from kdrun.core.taps import TappedNetwork
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.base import refuse_copied_weights
from kdrun.loss.functional import label_loss
from kdrun.loss.prefixes import add_prefix, strip_output_prefix, strip_tap_prefix
from kdrun.loss.pseudo_labels import with_pseudo_labels
from kdrun.loss.weight import shorten
from kdrun.loss.wrapper import LossWrapper

Kind = Literal["ema", "snapshot"]
_STUDENT, _TEACHER = "student/", "teacher/"  # prefixes of the inner loss's student and teacher taps


class _Step(NamedTuple):
    """A step of training: the name of the phase, and the step's number in it."""

    phase: str
    step: int


class MovingTeacher(LossWrapper):
    """The loss of scheme=moving_teacher; for its formula see `kdrun.scheme.moving_teacher`.

    The copy runs on the student's images, in eval mode and without gradients. Its weights are
    buffers: no optimizer trains them, and checkpoints contain them. `ema` averages the statistics
    of norms too.

    Args:
        loss: the config node of the inner loss, whose teacher is the copy.
        kind: an exponential moving average, or snapshots.
        decay: the share of itself that the average keeps in each step.
        every: epochs between two snapshots.
        start: the epoch, counted from 0, in which the student begins to learn from the copy.
    """

    # Built by `bind`: a copy of the student.
    teacher: nn.Module
    _tapped: TappedNetwork

    def __init__(
        self,
        loss: dict[str, Any],
        kind: Kind,
        decay: UnitBelowOne,
        every: PositiveInt,
        start: NonNegativeInt,
    ) -> None:
        super().__init__(loss)
        self.uses_teacher, self.name = False, loss["name"]
        self.kind, self.decay, self.every, self.start = kind, decay, every, start
        self._student: list[nn.Module] = []  # in a list, so that the loss does not save it
        self._last_update: _Step | None = None

    @property
    def needs_labels(self) -> bool:
        return False

    def taps(self) -> TapRequest:
        inner = self.loss.taps()
        return TapRequest(
            {**add_prefix(_STUDENT, inner.student), **add_prefix(_TEACHER, inner.teacher)}
        )

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if not self.loss.uses_teacher:
            raise UserError(
                f"loss {self.name!r} reads no teacher, and scheme=moving_teacher makes one.",
                "  choose a loss with a teacher: loss=kd",
            )
        refuse_copied_weights(self.loss, self.name, "moving_teacher")
        self._student = [student.network]
        self.teacher = frozen_copy(student.network)
        self._last_update = None
        inner_student, inner_teacher = (
            strip_tap_prefix(prefix, student) for prefix in (_STUDENT, _TEACHER)
        )
        self._tapped = TappedNetwork(self.teacher, inner_teacher.paths)
        copy = TapShapes(inner_teacher.shapes, self.teacher, inner_teacher.paths)
        self.loss.bind(inner_student, copy, data)

    def shortened(self, epochs: int) -> list[str]:
        if self._start(epochs) == self.start:
            return []
        return [
            f"the copy would begin to teach in epoch {self.start}, after the training of {epochs};"
            f" it begins in epoch {self._start(epochs)}; another: scheme.start=EPOCH"
        ]

    def ramp(self, progress: Progress) -> float:
        return super().ramp(progress) if progress.epoch >= self._start(progress.epochs) else 0.0

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the loss; the copy stays in eval mode."""
        super().train(mode)
        if hasattr(self, "teacher"):
            self.teacher.eval()
        return self

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        step = _Step(progress.phase, progress.step)
        if self._last_update != step:  # with recipe.accumulate, a step calls `forward` repeatedly
            self._last_update = step
            self._update(progress)
        start = self._start(progress.epochs)
        if progress.epoch < start and progress.phase == self.phases()[-1].name:
            return {"ce": label_loss(student.logits, batch)}
        with torch.no_grad():
            copy = self._tapped(batch.inputs)
        batch = with_pseudo_labels(batch, self.loss, copy)
        return self.loss(strip_output_prefix(_STUDENT, student), copy, batch, progress)

    def _start(self, epochs: int) -> int:
        """Return the epoch in which the copy begins to teach; a shorter run begins earlier."""
        return int(shorten(self.start, epochs - 1))

    @torch.no_grad()
    def _update(self, progress: Progress) -> None:
        """Update the copy at the beginning of a step: snapshots in the first step of an epoch."""
        is_first_step = progress.step * progress.epochs == progress.epoch * progress.steps
        if self.kind == "ema":
            self._blend(min(1 - 1 / (progress.step + 1), self.decay))
        elif is_first_step:
            epochs_since_start = progress.epoch - self._start(progress.epochs)
            if epochs_since_start >= 0 and epochs_since_start % self.every == 0:
                self._blend(0.0)

    def _blend(self, decay: float) -> None:
        """Set the copy to decay * copy + (1 - decay) * student."""
        copy, student = _tensors(self.teacher), _tensors(self._student[0])
        for average, new in zip(copy, student, strict=True):
            if decay and average.is_floating_point():
                average.lerp_(new.detach(), 1 - decay)
            else:
                average.copy_(new)


def frozen_copy(network: nn.Module) -> nn.Module:
    """Return a copy in eval mode whose weights are buffers, so that no optimizer sees them."""
    copy = deepcopy(network)
    for module in copy.modules():
        for name, value in list(module.named_parameters(recurse=False)):
            del module._parameters[name]
            module.register_buffer(name, value.detach().clone())
    return copy.eval()


def _tensors(network: nn.Module) -> list[Tensor]:
    """Return weights and buffers sorted by name, as the copy has buffers in place of weights."""
    return [value for _, value in sorted(network.state_dict(keep_vars=True).items())]
