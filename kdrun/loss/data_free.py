"""Losses around the config's, on images that a generator draws from the teacher alone."""

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.taps import TappedNetwork
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.base import losses_in, to_float32
from kdrun.loss.generator import Generator, Training
from kdrun.loss.wrapper import LossWrapper, begun, picked, seen

_OWN, _ACTIVE = "own/", "active"  # the inner loss's taps of the teacher, and DAFL's


class DataFree(LossWrapper):
    """The config's loss on generated images, whose labels are the teacher's decisions.

    Each batch's images are replaced by drawn ones before any network sees them; the label term
    of the config's loss then counts the teacher's decisions.

    Args:
        loss: the config's node.
        latent: numbers in a noise vector.
        rate: learning rate of the generator's Adam.
    """

    generates_images = True

    def __init__(self, loss: dict[str, Any], latent: int, rate: float) -> None:
        super().__init__(loss)
        self.name, self.latent, self.rate = loss["name"], latent, rate

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        super().bind(student, teacher, data)
        if teacher is None:
            raise UserError("images are drawn from a teacher, and this loss has none.")
        if any(part.has_memory_bank for part in losses_in(self.loss)):
            raise UserError(
                f"loss {self.name!r} keeps a memory of each training sample, and drawn images are"
                " new in each step.",
                "  choose a loss without one: loss=kd, loss=pkt",
            )
        # In lists, as the networks are not the loss's own: not to be trained or saved with it.
        self._teacher, self._student = [teacher.network], [student.network]
        generator = Generator(self.latent, data.channels, data.image_size)
        self.drawing = Training(generator, self.rate)

    def prepare(self, batch: Batch, progress: Progress) -> Batch:
        count, device = len(batch.targets), batch.targets.device
        teacher = self._teacher[0].to(device).eval().requires_grad_(False)
        with torch.autocast(device.type, enabled=False):
            self.update(teacher, count, progress)
            with torch.no_grad():
                images = self.drawing.generator.draw(count)
                decided = teacher(images).argmax(dim=1)
        if isinstance(batch.inputs, Tensor):
            images = images.to(batch.inputs.dtype)
        return replace(batch, inputs=images, targets=decided, labeled=None)

    @abstractmethod
    def update(self, teacher: nn.Module, count: int, progress: Progress) -> None:
        """Train the generator on so many images."""


class DAFL(DataFree):
    """Chen et al. 2019 (arXiv:1904.01186), equations 2 to 5: images that the teacher is sure of.

    The generator lowers CE(z_t, argmax z_t) - activation * mean |f_t| + entropy * sum m log m, of
    the teacher's embedding f and the batch's mean probabilities m of the classes.
    """

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

    def taps(self) -> TapRequest:
        asked = super().taps()
        return TapRequest(asked.student, {**begun(_OWN, asked.teacher), _ACTIVE: "embedding"})

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        super().bind(student, teacher and seen(_OWN, teacher), data)
        if teacher is not None:
            self._place = teacher.paths[_ACTIVE]

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        own = teacher and replace(teacher, taps=picked(_OWN, teacher.taps))
        return super().forward(student, own, batch, progress)

    def update(self, teacher: nn.Module, count: int, progress: Progress) -> None:
        tapped = TappedNetwork(teacher, {"embedding": self._place})
        try:
            self.drawing.step(lambda images: self.objective(tapped(images)), count)
        finally:
            tapped.close()

    def objective(self, teacher: Output) -> Tensor:
        """What the generator lowers, of the teacher's answers to its images."""
        logits = to_float32(teacher.logits)
        mean = logits.softmax(dim=1).mean(dim=0)
        sure = F.cross_entropy(logits, logits.detach().argmax(dim=1))
        spread = (mean * mean.clamp_min(1e-12).log()).sum()
        active = to_float32(teacher.taps["embedding"]).abs().mean()
        return sure - self.activation * active + self.entropy * spread


class ZSKT(DataFree):
    """Micaelli and Storkey 2019 (arXiv:1905.09768), algorithm 1: images they disagree on.

    One step of the generator, which raises KL(p_t || p_s), for each `student_steps` of the student.
    """

    def __init__(self, loss: dict[str, Any], latent: int, rate: float, student_steps: int) -> None:
        super().__init__(loss, latent, rate)
        self.student_steps = student_steps

    def update(self, teacher: nn.Module, count: int, progress: Progress) -> None:
        if progress.step % self.student_steps:
            return
        student = self._student[0]

        def objective(images: Tensor) -> Tensor:
            return -divergence(student(images), teacher(images))

        self.drawing.step(objective, count)


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(p_t || p_s) of logits (N, C), averaged over rows; gradients reach both."""
    own, other = (F.log_softmax(to_float32(logits), dim=1) for logits in (student, teacher))
    return F.kl_div(own, other, reduction="batchmean", log_target=True)
