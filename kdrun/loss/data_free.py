"""Losses that wrap the loss of the config and replace its images by those of a generator.

The generator is trained beside the student, by the teacher's outputs and without real images.
"""

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.inputs.image import image_inputs
from kdrun.core.taps import TappedNetwork
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.base import losses_in, require_teacher
from kdrun.loss.functional import to_float32
from kdrun.loss.generator import Generator, GeneratorTraining
from kdrun.loss.logits import kl_divergence
from kdrun.loss.prefixes import add_prefix, strip_output_prefix, strip_tap_prefix
from kdrun.loss.wrapper import LossWrapper

_INNER = "inner/"  # prefix of the inner loss's teacher taps
_EMBEDDING = "embedding"  # name of DAFL's tap on the teacher's embedding


class DataFree(LossWrapper):
    """The inner loss on generated images, whose labels are the teacher's classes.

    `prepare` trains the generator and replaces the images of the batch.

    Args:
        loss: the config node of the inner loss.
        latent: size of a noise vector.
        rate: learning rate of the generator's optimizer, Adam.
    """

    generates_images = True

    # Built by `bind`: the generator needs the images' size. Checkpoints have it by this name.
    drawing: GeneratorTraining

    def __init__(self, loss: dict[str, Any], latent: int, rate: float) -> None:
        super().__init__(loss)
        self.name, self.latent, self.rate = loss["name"], latent, rate
        # In lists, so that the networks are not submodules, which the loss would train and save.
        self._teacher: list[nn.Module] = []
        self._student: list[nn.Module] = []

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        super().bind(student, teacher, data)
        if teacher is None:
            raise UserError("the generator learns from a teacher, and this loss has none.")
        if any(loss.has_memory_bank for loss in losses_in(self.loss)):
            raise UserError(
                f"loss {self.name!r} keeps a memory of each training sample, and drawn images are"
                " new in each step.",
                "  choose a loss without one: loss=kd, loss=pkt",
            )
        self._teacher, self._student = [teacher.network], [student.network]
        images = image_inputs(data.inputs, "a generator")
        generator = Generator(self.latent, images.channels, images.image_size)
        self.drawing = GeneratorTraining(generator, self.rate)

    def prepare(self, batch: Batch, progress: Progress) -> Batch:
        count, device = len(batch.targets), batch.targets.device
        teacher = self._teacher[0].to(device).eval().requires_grad_(False)
        with torch.autocast(device.type, enabled=False):
            self.train_generator(teacher, count, progress)
            with torch.no_grad():
                images = self.drawing.generator.draw(count)
                classes = teacher(images).argmax(dim=1)
        if isinstance(batch.inputs, Tensor):
            images = images.to(batch.inputs.dtype)
        return replace(batch, inputs=images, targets=classes, labeled=None)

    @abstractmethod
    def train_generator(self, teacher: nn.Module, count: int, progress: Progress) -> None:
        """Update the generator on `count` images, if it learns in this step."""


class DAFL(DataFree):
    """The loss of scheme=dafl; `kdrun.scheme.data_free.DAFL` has its formula and paper."""

    def __init__(
        self,
        loss: dict[str, Any],
        latent: int,
        rate: float,
        activation: float,
        entropy: float,
    ) -> None:
        super().__init__(loss, latent, rate)
        self.activation, self.entropy = activation, entropy
        self._embedding_path = ""

    def taps(self) -> TapRequest:
        inner = super().taps()
        teacher = {**add_prefix(_INNER, inner.teacher), _EMBEDDING: "embedding"}
        return TapRequest(inner.student, teacher)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        super().bind(student, teacher and strip_tap_prefix(_INNER, teacher), data)
        self._embedding_path = require_teacher(teacher).paths[_EMBEDDING]

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        return super().forward(student, strip_output_prefix(_INNER, teacher), batch, progress)

    def train_generator(self, teacher: nn.Module, count: int, progress: Progress) -> None:
        tapped = TappedNetwork(teacher, {"embedding": self._embedding_path})
        try:
            self.drawing.step(lambda images: self.objective(tapped(images)), count)
        finally:
            tapped.close()

    def objective(self, teacher: Output) -> Tensor:
        """Return the generator's loss, from the teacher's output for generated images."""
        logits = to_float32(teacher.logits)
        mean_p = logits.softmax(dim=1).mean(dim=0)
        one_hot_loss = F.cross_entropy(logits, logits.detach().argmax(dim=1))
        negative_entropy = (mean_p * mean_p.clamp_min(1e-12).log()).sum()
        mean_activation = to_float32(teacher.taps["embedding"]).abs().mean()
        return one_hot_loss - self.activation * mean_activation + self.entropy * negative_entropy


class ZSKT(DataFree):
    """The loss of scheme=zskt; `kdrun.scheme.data_free.ZSKT` has its formula and paper."""

    def __init__(self, loss: dict[str, Any], latent: int, rate: float, student_steps: int) -> None:
        super().__init__(loss, latent, rate)
        self.student_steps = student_steps

    def train_generator(self, teacher: nn.Module, count: int, progress: Progress) -> None:
        if progress.step % self.student_steps:
            return
        student = self._student[0]

        def objective(images: Tensor) -> Tensor:
            return -divergence(student(images), teacher(images))

        self.drawing.step(objective, count)


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Return KL(p_t || p_s) of logits (N, C), averaged over rows, with gradients to both."""
    log_student, log_teacher = (
        F.log_softmax(to_float32(logits), dim=1) for logits in (student, teacher)
    )
    return kl_divergence(log_student, log_teacher)
