"""What a loss promises the engine."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from kdrun.core.types import MAIN, Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes

Share = Annotated[float, Field(ge=0, le=1)]
Temperature = Annotated[float, Field(gt=0)]


class Loss(nn.Module):
    """One distillation objective, with the trainable parts that belong to it.

    The engine calls `taps`, `phases` and `bind` once, before the optimizer exists, and then
    `forward` each step. It optimizes, saves and resumes the loss's own parameters and buffers.
    """

    uses_teacher = True

    def taps(self) -> TapRequest:
        """Which activations of student and teacher the loss reads; none by default."""
        return TapRequest()

    def phases(self) -> tuple[Phase, ...]:
        """The spans of training in order; the last one is the main phase."""
        return (MAIN,)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        """Build adapters and banks from shapes.

        Raises:
            UserError: the two networks or the data can't be joined by this loss.
        """

    def decide(self, teacher: Output) -> Tensor:
        """The teacher's decisions (N,), which stand for the labels of samples without one."""
        return teacher.logits.detach().argmax(1)

    def notes(self) -> list[str]:
        """What `bind` decided that the user should know, in sentences."""
        return []

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, at: Progress
    ) -> dict[str, Tensor]:
        """Named scalars, already weighted; the engine sums and logs them."""
        raise TypeError(f"{type(self).__name__} does not define its terms")


def label_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy (a scalar) of logits (N, C) with the labels, smoothed or mixed if they are.

    The mean over samples that have labels; 0 where none has.
    """
    logits = widen(logits)
    soft = batch.soft_targets
    targets = batch.targets if soft is None else soft.to(logits.dtype)
    if batch.labelled is None:
        return F.cross_entropy(logits, targets)
    each = F.cross_entropy(logits, targets, reduction="none")
    return each.where(batch.labelled, 0).sum() / batch.labelled.sum().clamp(min=1)


def teacher_logits(teacher: Output | None) -> Tensor:
    """The teacher's logits (N, C), in float32 at least and without a graph."""
    if teacher is None:
        raise TypeError("this loss reads a teacher, and none was given")
    return widen(teacher.logits.detach())


def widen(tensor: Tensor) -> Tensor:
    """Half precision to float32, in which sums over classes and rows are exact enough."""
    return tensor.float() if torch.finfo(tensor.dtype).bits < 32 else tensor


def soft_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL(teacher || student) of two (N, C) logits at a temperature, averaged over rows."""
    divergence = F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.log_softmax(teacher / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return divergence * temperature**2
