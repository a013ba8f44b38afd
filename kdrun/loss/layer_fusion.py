"""Layer fusion: several layers of the teacher, fused, are the target of one layer."""

from typing import Literal, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import map_shape, maps_of
from kdrun.loss.base import require_teacher
from kdrun.loss.functional import no_autocast
from kdrun.loss.tap_pairs import TapList, request_list, require_features, require_one_tokenizer
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_TAP = "tap"
_SMALL = 1e-5  # added to a variance, as in batch norms


class LayerFusion(WeightedLoss):
    """Layer fusion: several stages of the teacher as one target.

    Formula:
        mean (r(F_s) - M)^2
        M: maps of several stages of the teacher, resized to the size of F_s and fused
        merge=concat: the channels of all stages are concatenated and standardized over the batch
        merge=sum: a learned 1x1 convolution brings each stage to the width of the deepest stage;
          the sum is standardized
        r: a learned 1x1 convolution with bias

    Paper:
        none; it resembles review_kd, without attention

    Needs:
        - a feature map of the student, several of the teacher (any networks)
        - a learned convolution, and one more for each stage with merge=sum
        - a batch of 2 or more

    Notes:
        - Larger maps are averaged to the size of F_s, smaller ones enlarged to the nearest pixel.
        - In a text each token is a map of one pixel.
        - With merge=sum the target learns too, so it may become one that is easy to reproduce;
          standardizing keeps it from becoming constant.
    """

    min_batch = 2  # one sample of one pixel has a variance of 0

    # Built by `bind`, from the shapes of the taps.
    adapter: nn.Conv2d

    def __init__(
        self,
        merge: Literal["concat", "sum"],
        place: str,
        teacher_places: TapList,
        **weights: Unpack[TermWeights],
    ) -> None:
        super().__init__(**weights)
        self.merge, self.student_path, self.teacher_paths = merge, place, teacher_places
        self.teacher_taps: list[str] = []
        self.description = ""
        self.mergers = nn.ModuleList()

    def taps(self) -> TapRequest:
        teacher = request_list(self.teacher_paths, auto="stages[*]")
        return TapRequest({_TAP: self.student_path}, teacher)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        teacher = require_teacher(teacher)
        shapes = require_features(teacher.shapes, "teacher")
        if data.inputs.modality == "text":
            require_one_tokenizer(student, teacher)
        source = map_shape(require_features(student.shapes, "student")[_TAP])[1]
        self.teacher_taps = list(shapes)
        widths = [map_shape(shape)[1] for shape in shapes.values()]
        if self.merge == "sum":
            convolutions = [nn.Conv2d(width, widths[-1], 1, bias=False) for width in widths]
            self.mergers = nn.ModuleList(convolutions)
        target = widths[-1] if self.merge == "sum" else sum(widths)
        self.adapter = nn.Conv2d(source, target, kernel_size=1)
        layers = ", ".join(teacher.paths[tap] for tap in self.teacher_taps)
        self.description = f"{student.paths[_TAP]} from {layers}, merged into {target} channels"

    def notes(self) -> list[str]:
        return [self.description]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        with no_autocast(student.logits):
            student_maps = maps_of(student, _TAP)
            if len(student_maps) < self.min_batch:
                return {"layer_fusion": 0 * student_maps.sum()}
            size = student_maps.shape[2], student_maps.shape[3]
            teacher_maps = [
                _resize(maps_of(teacher, tap).detach(), size) for tap in self.teacher_taps
            ]
            error = F.mse_loss(self.adapter(student_maps), self._target(teacher_maps))
            return {"layer_fusion": error}

    def _target(self, maps: list[Tensor]) -> Tensor:
        """Return M (B, C, H, W) for the teacher's maps (B, C_i, H, W)."""
        if self.merge == "concat":
            return _standardize(torch.cat(maps, dim=1))
        projected = [merger(stage) for merger, stage in zip(self.mergers, maps, strict=True)]
        return _standardize(torch.stack(projected).sum(dim=0))


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return maps of (height, width) `size`: averaged if larger, enlarged if smaller."""
    smaller = min(maps.shape[2], size[0]), min(maps.shape[3], size[1])
    return F.interpolate(F.adaptive_avg_pool2d(maps, smaller), size, mode="nearest")


def _standardize(maps: Tensor) -> Tensor:
    """Return maps with mean 0 and standard deviation 1 in each channel, over samples and pixels."""
    variance, mean = torch.var_mean(maps, dim=(0, 2, 3), keepdim=True, correction=0)
    return (maps - mean) / (variance + _SMALL).sqrt()
