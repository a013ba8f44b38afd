"""Around a loss: its teacher knows more classes than the student, and they are merged."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.core.class_merge import Groups, merge_logits
from kdrun.core.errors import UserError
from kdrun.core.taps import forward_once
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapShapes
from kdrun.loss.base import Loss, losses_in, to_float32
from kdrun.loss.wrapper import LossWrapper


@dataclass
class MergedOutput(Output):
    """What a teacher answered, merged at some temperature; `whole` are the logits before."""

    whole: Tensor = field(kw_only=True)


class MergedTeacher(LossWrapper):
    """A loss that learns from the teacher's probabilities of the student's classes.

    p'_c = sum_(k in c) p_k / sum_(k in any c) p_k with p = softmax(z_t / T): T is the loss's own
    temperature, of each term of a sum its own, and 1 for a loss that has none.
    """

    def __init__(self, loss: dict[str, Any]) -> None:
        super().__init__(loss)
        self.name = loss["name"]
        self.groups: Groups = ()
        for module in self.loss.modules():
            if isinstance(module, Loss):
                module.register_forward_pre_hook(self._merge)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if data.merge is None:
            raise TypeError("this loss needs classes that were merged, and these were not")
        self.groups = data.merge.groups
        as_many = len(data.merge.known) == data.num_classes
        if as_many and any(part.copies_teacher_classifier for part in losses_in(self.loss)):
            raise UserError(
                f"loss {self.name!r} takes over weights of the teacher's classifier, whose classes"
                " are not the student's.",
                "  choose a loss that reads logits or features alone, e.g. loss=kd",
            )
        self.loss.bind(student, teacher, data)
        if teacher is not None:
            self._try(student, teacher, data, len(data.merge.known))

    def pseudo_labels(self, teacher: Output) -> Tensor:
        return merge_logits(to_float32(teacher.logits.detach()), self.groups).argmax(1)

    def _try(self, student: TapShapes, teacher: TapShapes, data: DataInfo, known: int) -> None:
        """One step without consequences: a loss may read the teacher's classes in other places.

        Raises:
            UserError: it does.
        """
        kept = {name: value.clone() for name, value in self.state_dict().items()}
        rows = torch.arange(2)
        batch = Batch(torch.zeros(2, data.channels, *data.image_size), rows, rows, rows * 0)
        try:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                answers = [
                    forward_once(seen.network, seen.paths, data) for seen in (student, teacher)
                ]
                for phase in self.phases():
                    self(*answers, batch, Progress(phase.name, 0, 1, 0, 1))
        except (RuntimeError, ValueError, IndexError) as error:
            raise UserError(
                f"loss {self.name!r} reads the teacher's {known} classes where the"
                f" student has {data.num_classes}: {str(error).splitlines()[0]}.",
                "  choose a loss that reads logits or features alone, e.g. loss=kd",
            ) from error
        finally:
            self.load_state_dict(kept)

    def _merge(self, module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        """What a loss is called with, the teacher's logits merged at that loss's temperature."""
        student, teacher, batch, progress = given
        if teacher is None or not teacher.logits.numel():
            return given
        whole = teacher.whole if isinstance(teacher, MergedOutput) else teacher.logits
        merged = merge_logits(to_float32(whole.detach()), self.groups, _temperature(module))
        return student, MergedOutput(merged, teacher.taps, whole=whole), batch, progress


def _temperature(loss: nn.Module) -> float:
    """What a loss softens both distributions by, where that is one fixed number."""
    found = getattr(loss, "temperature", 1.0)
    return float(found) if isinstance(found, int | float) else 1.0
