"""What a loss promises the engine."""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.types import MAIN, Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes

_OWN = "loss."  # how globs of a phase begin that mean the loss's own parameters


class Loss(nn.Module):
    """One distillation objective, with the trainable parts that belong to it.

    The engine calls `taps`, `phases` and `bind` once, before the optimizer exists, and then
    `forward` each step. It optimizes, saves and resumes the loss's own parameters and buffers.

    Attributes:
        uses_teacher: whether `forward` reads the teacher's output.
        min_batch: the fewest samples of a batch on which the loss is defined; on fewer, its term
            is 0.
        needs_hard_labels: whether each sample must have exactly one class, which mixup and cutmix
            don't give.
        copies_teacher_weights: whether `bind` copies weights of the teacher, which must be trained
            by then.
        copies_teacher_classifier: whether these are the classifier's, so that student and teacher
            must have the same classes in the same order.
        has_memory_bank: whether it keeps a vector of each training sample from epoch to epoch.
        generates_images: whether `prepare` replaces the images of the batch.
    """

    uses_teacher = True
    min_batch: int = 1
    needs_hard_labels: bool = False
    copies_teacher_weights: bool = False
    copies_teacher_classifier: bool = False
    has_memory_bank: bool = False
    generates_images: bool = False

    @property
    def needs_labels(self) -> bool:
        """Whether samples without a label teach nothing: those that no teacher decides on."""
        return not self.uses_teacher

    def student_node(self, student: dict[str, Any], teacher: dict[str, Any]) -> dict[str, Any]:
        """The config node of the network that learns; the student's, if the loss changes nothing.

        Args:
            student: the student's own node.
            teacher: the teacher's.
        """
        return student

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

    def pseudo_labels(self, teacher: Output) -> Tensor:
        """The teacher's decisions (N,), which stand for the labels of samples without one."""
        return teacher.logits.detach().argmax(1)

    def notes(self) -> list[str]:
        """What `bind` decided that the user should know, in sentences."""
        return []

    def stop_reason(self) -> str:
        """Why training may end now, asked after each epoch of the main phase; empty: it may not."""
        return ""

    def ramp(self, progress: Progress) -> float:
        """The share of their full weight that the loss's own terms have at a step."""
        return 1.0

    def prepare(self, batch: Batch, progress: Progress) -> Batch:
        """The batch as both networks are to see it, before it is mixed; once in each step."""
        return batch

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        """Named scalars, already weighted; the engine sums and logs them."""
        raise TypeError(f"{type(self).__name__} does not define its terms")


def losses_in(loss: Loss) -> list[Loss]:
    """The loss itself and all that it holds."""
    return [part for part in loss.modules() if isinstance(part, Loss)]


def nest_phase(phase: Phase, path: str) -> Phase:
    """A phase of a loss as the loss calls it that has it at `path`."""
    globs = (
        f"{_OWN}{path}.{glob.removeprefix(_OWN)}" if glob.startswith(_OWN) else glob
        for glob in phase.trains
    )
    return replace(phase, trains=tuple(globs))


def label_loss(logits: Tensor, batch: Batch, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy (a scalar) of logits (N, C) with the labels, smoothed or mixed if they are.

    The mean over samples that have labels; 0 where none has. Of a part of a batch it is such that
    the parts, each weighted by its samples, make the mean of the whole.

    Args:
        logits: of the student.
        batch: with the labels.
        smoothing: share of each label that is spread evenly over all classes.
    """
    logits = to_float32(logits)
    soft = batch.soft_targets
    targets = batch.targets if soft is None else soft.to(logits.dtype)
    if batch.labeled is None:
        return F.cross_entropy(logits, targets, label_smoothing=smoothing)
    each = F.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
    share = batch.labeled_share
    share = batch.labeled.float().mean() if share is None else share
    return each.where(batch.labeled, 0).mean() / share.clamp(min=1e-12)


def teacher_logits(teacher: Output | None) -> Tensor:
    """The teacher's logits (N, C), in float32 at least and without a graph."""
    if teacher is None:
        raise TypeError("this loss reads a teacher, and none was given")
    return to_float32(teacher.logits.detach())


def to_float32(tensor: Tensor) -> Tensor:
    """Half precision to float32, in which sums over classes and rows are exact enough."""
    return tensor.float() if torch.finfo(tensor.dtype).bits < 32 else tensor


def no_autocast(tensor: Tensor) -> torch.autocast:
    """A context without autocast, for products that half precision would spoil."""
    return torch.autocast(tensor.device.type, enabled=False)
