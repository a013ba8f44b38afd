"""Several stages of the teacher merged into one target for a place of the student."""

from typing import Literal, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import as_grid, grid_shape
from kdrun.loss.base import no_autocast, to_float32
from kdrun.loss.tap_pairs import Places, known, several
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_TAP = "tap"
_SMALL = 1e-5  # beside a variance, as in batch norms


class LayerFusion(WeightedLoss):
    """Plain layer fusion, of no one paper: mean (r(F_s) - merged)^2.

    The teacher's maps are brought to the grid of F_s (averaged where larger, enlarged to the
    nearest pixel where smaller). `concat` standardizes each channel over the batch and puts all
    beside each other. `sum` takes each stage by a learned 1x1 convolution to the width of the
    deepest, adds them up and standardizes the sum. r is a 1x1 convolution with bias.

    The learned convolutions of `sum` may choose what is easy to reproduce, which a standardized
    target keeps from being nothing at all; the target of `concat` is the teacher's alone.
    """

    min_batch = 2  # nothing is standardized by one sample with one pixel

    def __init__(
        self,
        merge: Literal["concat", "sum"],
        place: str,
        teacher_places: Places,
        **shares: Unpack[TermWeights],
    ) -> None:
        super().__init__(**shares)
        self.merge, self.place, self.teacher_places = merge, place, teacher_places

    def taps(self) -> TapRequest:
        return TapRequest({_TAP: self.place}, several(self.teacher_places, auto="stages[*]"))

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if teacher is None:
            raise TypeError("this loss reads a teacher, and none was given")
        own, other = known(student.shapes, "student"), known(teacher.shapes, "teacher")
        self.merged = list(other)
        widths = [grid_shape(shape)[1] for shape in other.values()]
        if self.merge == "sum":
            convolutions = [nn.Conv2d(width, widths[-1], 1, bias=False) for width in widths]
            self.mergers = nn.ModuleList(convolutions)
        target = widths[-1] if self.merge == "sum" else sum(widths)
        self.adapter = nn.Conv2d(grid_shape(own[_TAP])[1], target, kernel_size=1)
        places = ", ".join(teacher.paths[tap] for tap in self.merged)
        self.where = f"{student.paths[_TAP]} from {places}, merged into {target} channels"

    def notes(self) -> list[str]:
        return [self.where]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        with no_autocast(student.logits):
            own = as_grid(to_float32(student.taps[_TAP]))
            if len(own) < self.min_batch:
                return {"layer_fusion": 0 * own.sum()}
            size = own.shape[2], own.shape[3]
            maps = [
                _resized(as_grid(to_float32(teacher.taps[tap].detach())), size)
                for tap in self.merged
            ]
            return {"layer_fusion": F.mse_loss(self.adapter(own), self._target(maps))}

    def _target(self, maps: list[Tensor]) -> Tensor:
        """Maps (B, C_i, H, W) merged into one (B, C, H, W)."""
        if self.merge == "concat":
            return _standardized(torch.cat(maps, dim=1))
        parts = [merger(part) for merger, part in zip(self.mergers, maps, strict=True)]
        return _standardized(torch.stack(parts).sum(dim=0))


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    smaller = min(maps.shape[2], size[0]), min(maps.shape[3], size[1])
    return F.interpolate(F.adaptive_avg_pool2d(maps, smaller), size, mode="nearest")


def _standardized(maps: Tensor) -> Tensor:
    """Each channel less its mean over samples and pixels, over its spread."""
    variance, mean = torch.var_mean(maps, dim=(0, 2, 3), keepdim=True, correction=0)
    return (maps - mean) / (variance + _SMALL).sqrt()
