"""Review: the student's stages, fused from deep to shallow, must give the teacher's."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.types import Batch, Output, Progress, TapRequest
from kdrun.loss.adapters import as_grid, grid_shape
from kdrun.loss.base import no_autocast, to_float32
from kdrun.loss.feature_loss import Paired

_WIDEST = 512  # channels that fused maps have at most
_LEVELS = (4, 2, 1)  # sides of the pooled maps that are compared beside the whole ones


class ReviewKD(Paired):
    """Chen et al. 2021 (arXiv:2104.09044), as its published code has it.

    Sum over pairs of hcl(out_i, F_t,i). From the deepest place on, m_i is the 1x1 convolution of
    F_s,i to a common width, mixed with m_i+1, which is enlarged to it, by two learned maps of
    shares in 0 to 1; out_i is a 3x3 convolution of m_i, brought to the teacher's grid. hcl is the
    mean square of whole maps and of maps pooled to 4x4, 2x2, 1x1 where that is smaller, with
    shares 1, 1/2, 1/4, 1/8 that are made to sum to 1. The embeddings are the deepest place.
    """

    min_batch = 2  # the norms have no statistics of one sample with one pixel

    def taps(self) -> TapRequest:
        if self.pairs != "auto":
            return super().taps()
        asked = {"tap": "stages[*]", "last": "embedding"}
        return TapRequest(asked, asked)

    def build(self) -> None:
        own = [grid_shape(pair.student_shape) for pair in self.joined]
        other = [grid_shape(pair.teacher_shape) for pair in self.joined]
        width = min(_WIDEST, own[-1][1])
        self.fusions = nn.ModuleList(
            Fusion(source[1], width, target[1], deepest=number == len(own) - 1)
            for number, (source, target) in enumerate(zip(own, other, strict=True))
        )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        if len(student.logits) < self.min_batch:
            return {"review_kd": 0 * student.logits.sum()}
        deeper: Tensor | None = None
        found: list[Tensor] = []
        for pair, fusion in zip(reversed(self.joined), reversed(list(self.fusions)), strict=True):
            target = as_grid(to_float32(teacher.taps[pair.teacher].detach()))
            source = as_grid(to_float32(student.taps[pair.student]))
            answer, deeper = fusion(source, deeper, target.shape[2:])
            with no_autocast(target):
                found.append(hierarchical(to_float32(answer), target))
        return {"review_kd": sum(found[1:], found[0])}


class Fusion(nn.Module):
    """One place of the student joined with what the deeper ones gave."""

    def __init__(self, student: int, width: int, teacher: int, deepest: bool) -> None:
        super().__init__()
        self.enter = _normed(student, width, kernel=1)
        self.leave = _normed(width, teacher, kernel=3)
        self.shares = None if deepest else nn.Conv2d(2 * width, 2, kernel_size=1)

    def forward(
        self, maps: Tensor, deeper: Tensor | None, size: torch.Size
    ) -> tuple[Tensor, Tensor]:
        """Maps (B, C_t, *size) to be compared, and the mixed ones (B, width, *size)."""
        mixed = self.enter(maps)
        if self.shares is not None and deeper is not None:
            deeper = F.interpolate(deeper, mixed.shape[2:], mode="nearest").to(mixed.dtype)
            own, other = self.shares(torch.cat([mixed, deeper], dim=1)).sigmoid().split(1, dim=1)
            mixed = own * mixed + other * deeper
        if mixed.shape[2:] != size:
            mixed = F.interpolate(mixed, size, mode="nearest")
        return self.leave(mixed), mixed


def hierarchical(student: Tensor, teacher: Tensor) -> Tensor:
    """The mean square difference of two maps (B, C, H, W) and of what is left when pooled."""
    value, share, whole = F.mse_loss(student, teacher), 1.0, 1.0
    for side in _LEVELS:
        if side >= min(student.shape[2:]):
            continue
        share /= 2
        whole += share
        own, other = (F.adaptive_avg_pool2d(maps, side) for maps in (student, teacher))
        value = value + share * F.mse_loss(own, other)
    return value / whole


def _normed(source: int, target: int, kernel: int) -> nn.Module:
    convolution = nn.Conv2d(source, target, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_uniform_(convolution.weight, a=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(target))
