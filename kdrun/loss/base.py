"""The interface between a loss and the engine that trains with it."""

from dataclasses import replace
from typing import Any, TypeVar

from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import MAIN, Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes

OutputOrShapes = TypeVar("OutputOrShapes", Output, TapShapes)
_LOSS = "loss."  # the prefix of phase globs that match the loss's parameters


class Loss(nn.Module):
    """A distillation objective, with its trainable modules.

    The engine calls `taps`, `phases` and `bind` once, before the optimizer exists, and then
    `forward` in each step. It optimizes, saves and resumes the loss's parameters and buffers.

    Subclasses set the attributes below on the class, or in `__init__` if settings decide them.

    Attributes:
        uses_teacher: whether `forward` reads the teacher's output.
        min_batch: the smallest batch for which the loss is defined; a run with smaller ones is
            refused.
        needs_hard_labels: whether each sample must have exactly one class, so that mixup and cutmix
            are refused.
        copies_teacher_weights: whether `bind` copies weights of the teacher, which must be trained
            before.
        copies_teacher_classifier: whether these weights are the classifier's, so that student and
            teacher must have the same classes in the same order.
        has_memory_bank: whether it stores a vector for each training sample from epoch to epoch.
        generates_images: whether `prepare` replaces the images of the batch.
        revision: raised when the same settings give other values than before, so that artefacts and
            checkpoints of before are not mistaken for those of now.
    """

    uses_teacher = True
    min_batch: int = 1
    needs_hard_labels: bool = False
    copies_teacher_weights: bool = False
    copies_teacher_classifier: bool = False
    has_memory_bank: bool = False
    generates_images: bool = False
    revision: int = 1

    @property
    def needs_labels(self) -> bool:
        """Whether every sample must have a label: without a teacher there are no pseudo-labels."""
        return not self.uses_teacher

    def student_node(self, student: dict[str, Any], teacher: dict[str, Any]) -> dict[str, Any]:
        """Return the config node of the network to train: the student's, or one that contains it.

        Args:
            student: the config node of the student.
            teacher: the config node of the teacher.
        """
        return student

    def taps(self) -> TapRequest:
        """Return which activations of student and teacher the loss reads; none by default."""
        return TapRequest()

    def phases(self) -> tuple[Phase, ...]:
        """Return the phases of training in order; the last one is the main phase."""
        return (MAIN,)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        """Build adapters and memory banks from the shapes of the taps.

        Raises:
            UserError: this loss can't be computed for the two networks or the data.
        """

    def pseudo_labels(self, teacher: Output) -> Tensor:
        """Return the teacher's classes (N,), which replace the labels of unlabeled samples."""
        return teacher.logits.detach().argmax(1)

    def notes(self) -> list[str]:
        """Return sentences for the user about the choices that `bind` made."""
        return []

    def stop_reason(self) -> str:
        """Return why training may end; empty if it must go on. Called after each main epoch."""
        return ""

    def shortened(self, epochs: int) -> list[str]:
        """Return sentences on what the settings put after the end of so many epochs, as warm-ups.

        It comes earlier in such a run.
        """
        return []

    def ramp(self, progress: Progress) -> float:
        """Return the current weight of the distillation terms, as a share of their full weight."""
        return 1.0

    def prepare(self, batch: Batch, progress: Progress) -> Batch:
        """Return the batch that both networks read; called once a step, before mixup and cutmix."""
        return batch

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        """Return named scalars, already weighted, which the engine sums and logs."""
        raise TypeError(f"{type(self).__name__} does not define its terms")


def losses_in(loss: Loss) -> list[Loss]:
    """Return the loss and all losses among its submodules."""
    return [module for module in loss.modules() if isinstance(module, Loss)]


def revisions_of(loss: Loss) -> dict[str, int]:
    """Return the revisions after the first one, of the loss and of all losses in it, by class."""
    return {type(inner).__name__: inner.revision for inner in losses_in(loss) if inner.revision > 1}


def refuse_copied_weights(loss: Loss, name: str, scheme: str) -> None:
    """Refuse a loss that copies weights of the teacher, for schemes whose teacher still learns.

    Args:
        loss: the loss of the config.
        name: the name of the loss, for the message.
        scheme: the name of the scheme, for the message.

    Raises:
        UserError: the loss or an inner loss of it copies weights.
    """
    if any(inner.copies_teacher_weights for inner in losses_in(loss)):
        raise UserError(
            f"loss {name!r} takes over weights of a trained teacher, and with scheme={scheme} the"
            " teacher is still learning.",
            "  choose a loss on logits and features alone: loss=kd, loss=attention",
        )


def nest_phase(phase: Phase, path: str) -> Phase:
    """Return a phase of an inner loss with its globs rewritten for the outer loss.

    Args:
        phase: a phase of the inner loss.
        path: the module path of the inner loss in the outer loss.
    """
    globs = (
        f"{_LOSS}{path}.{glob.removeprefix(_LOSS)}" if glob.startswith(_LOSS) else glob
        for glob in phase.trains
    )
    return replace(phase, trains=tuple(globs))


def require_teacher(teacher: OutputOrShapes | None) -> OutputOrShapes:
    """Return the teacher's output or shapes, which must not be None.

    Raises:
        TypeError: it is None.
    """
    if teacher is None:
        raise TypeError("this loss reads a teacher, but has no teacher")
    return teacher
