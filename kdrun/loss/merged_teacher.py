"""A wrapper that merges the logits of a teacher that has more classes than the student."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.core.class_merge import Groups, merge_logits
from kdrun.core.errors import UserError, first_line
from kdrun.core.taps import forward_once
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapShapes
from kdrun.loss.base import losses_in
from kdrun.loss.functional import to_float32
from kdrun.loss.wrapper import LossWrapper


@dataclass
class MergedOutput(Output):
    """A teacher's output with merged logits.

    Attributes:
        unmerged: the logits of all of the teacher's classes.
    """

    unmerged: Tensor = field(kw_only=True)


class MergedTeacher(LossWrapper):
    """The loss of scheme=concepts; `kdrun.scheme.concepts.Concepts` has its formula.

    A hook before `forward` gives each inner loss, also each term of a sum, logits that are merged
    at the temperature of this loss; at 1 if it has none.
    """

    def __init__(self, loss: dict[str, Any]) -> None:
        super().__init__(loss)
        self.name = loss["name"]
        self.groups: Groups = ()
        for inner in losses_in(self.loss):
            inner.register_forward_pre_hook(self._merge)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if data.merge is None:
            raise TypeError("this loss needs merged classes, and the dataset has none")
        self.groups = data.merge.groups
        same_count = len(data.merge.known) == data.num_classes
        if same_count and any(inner.copies_teacher_classifier for inner in losses_in(self.loss)):
            raise UserError(
                f"loss {self.name!r} takes over weights of the teacher's classifier, whose classes"
                " are not the student's.",
                "  choose a loss that reads logits or features alone, e.g. loss=kd",
            )
        self.loss.bind(student, teacher, data)
        if teacher is not None:
            self._try_once(student, teacher, data, len(data.merge.known))

    def pseudo_labels(self, teacher: Output) -> Tensor:
        return merge_logits(to_float32(teacher.logits.detach()), self.groups).argmax(1)

    def _try_once(
        self, student: TapShapes, teacher: TapShapes, data: DataInfo, teacher_classes: int
    ) -> None:
        """Compute the loss once in each phase, and restore its state.

        Raises:
            UserError: this fails, as the loss uses the teacher's classes outside of the logits.
        """
        state = {name: value.clone() for name, value in self.state_dict().items()}
        rows = torch.arange(2)
        batch = Batch(data.example(2), rows, rows, rows * 0)
        try:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                outputs = [
                    forward_once(taps.network, taps.paths, data) for taps in (student, teacher)
                ]
                for phase in self.phases():
                    self(*outputs, batch, Progress(phase.name, 0, 1, 0, 1))
        except (RuntimeError, ValueError, IndexError) as error:
            raise UserError(
                f"loss {self.name!r} reads the teacher's {teacher_classes} classes where the"
                f" student has {data.num_classes}: {first_line(error)}.",
                "  choose a loss that reads logits or features alone, e.g. loss=kd",
            ) from error
        finally:
            self.load_state_dict(state)

    def _merge(self, loss: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments of a loss's `forward`, with the teacher's logits merged."""
        student, teacher, batch, progress = arguments
        if teacher is None or not teacher.logits.numel():
            return arguments
        logits = teacher.unmerged if isinstance(teacher, MergedOutput) else teacher.logits
        merged = merge_logits(to_float32(logits.detach()), self.groups, _temperature(loss))
        return (
            student,
            MergedOutput(merged, teacher.taps, teacher.mask, unmerged=logits),
            batch,
            progress,
        )


def _temperature(loss: nn.Module) -> float:
    """Return the temperature of a loss; 1 if it has none or learns it."""
    temperature = getattr(loss, "temperature", 1.0)
    return float(temperature) if isinstance(temperature, int | float) else 1.0
