"""Semantic calibration: every student layer learns from all teacher layers, by attention."""

from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import Channels, align, count_channels, pooled_maps_of
from kdrun.loss.base import require_teacher
from kdrun.loss.functional import no_autocast, to_float32
from kdrun.loss.tap_pairs import TapList, request_list, require_features
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_MAX_WEIGHTS = 2**30  # in all adapters together: 4 GiB, and three times as much in training


class SemCKD(WeightedLoss):
    """Semantic calibration: all pairs of layers, weighted.

    Formula:
        (1 / B S) sum_b sum_ij a_bij mean (r_ij(F_s,i) - F_t,j)^2, a_bi. = softmax_j(q_bi . k_bj)
        b: samples; i: the S layers of the student; j: those of the teacher
        r_ij: three learned convolutions (1x1, 3x3, 1x1)
        q, k: unit vectors that small learned networks compute from row b of F F', where F has the
          flattened maps of a sample in each row

    Paper:
        Chen, Mei, Zhang, Wang, Feng, Chen, Cross-Layer Distillation with Semantic Calibration, AAAI
        2021, arXiv:2012.03236, section 3, as in its published code

    Needs:
        - feature maps of both, several layers each (any networks)
        - an adapter of three convolutions for every pair of layers
        - a batch of 2 or more

    Notes:
        - It is the slowest loss of kdrun without a GPU, because of its 3x3 convolutions; hidden=1
          or fewer layers take a fraction of the time.
        - A batch is divided into groups of `samples` samples, the input width of the small
          networks; a smaller group is padded with zeros, so any batch size works. The published
          code has a fixed batch size and skips smaller batches.
        - Texts are averaged over their tokens; the convolutions have 1x1 kernels.
        - Maps of two sizes are averaged to the smaller one.
        - With resnet8x4 and resnet32x4 a step of 64 images takes about 190 billion multiplications
          in the 3x3 convolutions of the 9 adapters, 63 billion of them in the forward pass.
    """

    min_batch = 2

    def __init__(
        self,
        samples: PositiveInt,
        factor: PositiveInt,
        hidden: PositiveInt,
        student_places: TapList,
        teacher_places: TapList,
        **weights: Unpack[TermWeights],
    ) -> None:
        super().__init__(**weights)
        self.samples, self.factor, self.hidden = samples, factor, hidden
        self.student_paths, self.teacher_paths = student_places, teacher_places
        self.student_taps: list[str] = []
        self.teacher_taps: list[str] = []
        self.description = ""
        self.queries, self.keys = nn.ModuleList(), nn.ModuleList()
        self.adapters = nn.ModuleList()

    def taps(self) -> TapRequest:
        return TapRequest(
            request_list(self.student_paths, auto="stages[*]"),
            request_list(self.teacher_paths, auto="stages[*]"),
        )

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        teacher = require_teacher(teacher)
        student_shapes = require_features(student.shapes, "student")
        teacher_shapes = require_features(teacher.shapes, "teacher")
        self.student_taps, self.teacher_taps = list(student_shapes), list(teacher_shapes)
        student_layers, teacher_layers = (
            ", ".join(network.paths[tap] for tap in network.shapes)
            for network in (student, teacher)
        )
        self.description = f"each of {student_layers} from each of {teacher_layers}"
        channels = [
            count_channels(source, target)
            for source in student_shapes.values()
            for target in teacher_shapes.values()
        ]
        self._refuse_too_large(channels)
        kernel = 1 if data.inputs.modality == "text" else 3  # an average is a map of one pixel
        self.queries = nn.ModuleList(self._small_network() for _ in student_shapes)
        self.keys = nn.ModuleList(self._small_network() for _ in teacher_shapes)
        self.adapters = nn.ModuleList(self._adapter(*widths, kernel) for widths in channels)

    def notes(self) -> list[str]:
        return [self.description]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        student_maps = [to_float32(pooled_maps_of(student, tap)) for tap in self.student_taps]
        if len(student_maps[0]) < self.min_batch:
            return {"semckd": 0 * student_maps[0].sum()}
        teacher_maps = [
            to_float32(pooled_maps_of(teacher, tap).detach()) for tap in self.teacher_taps
        ]
        errors = torch.stack(
            [
                torch.stack(self._errors(number, maps, teacher_maps))
                for number, maps in enumerate(student_maps)
            ]
        )
        with no_autocast(student.logits):
            queries = self._unit_vectors(self.queries, student_maps)
            keys = self._unit_vectors(self.keys, teacher_maps)
            attention = (queries @ keys.transpose(1, 2)).softmax(dim=2)
        total = (attention * errors.permute(2, 0, 1)).sum()
        return {"semckd": total / attention.shape[:2].numel()}

    def _refuse_too_large(self, channels: list[Channels]) -> None:
        middles = [self.hidden * widths.teacher for widths in channels]
        count = sum(
            widths.student * middle + 9 * middle**2 + middle * widths.teacher
            for widths, middle in zip(channels, middles, strict=True)
        )
        if count > _MAX_WEIGHTS:
            raise UserError(
                f"loss 'semckd' would need {len(channels)} adapters, one for each pair of layers,"
                f" with {count / 1e9:.1f} billion weights.",
                "  name fewer layers: loss.teacher_places=[PATH,...]; or make them narrower:"
                " loss.hidden=1",
            )

    def _errors(self, number: int, maps: Tensor, teacher_maps: list[Tensor]) -> list[Tensor]:
        """Return the mean squared errors (B,) between a student layer and each teacher layer."""
        errors = []
        for column, teacher in enumerate(teacher_maps):
            source, target = align(maps, teacher)
            adapted = self.adapters[number * len(teacher_maps) + column](source)
            errors.append((to_float32(adapted) - target).square().mean(dim=(1, 2, 3)))
        return errors

    def _unit_vectors(self, networks: nn.ModuleList, layers: list[Tensor]) -> Tensor:
        """Return queries or keys (B, layers, samples / factor) for the maps of all layers."""
        vectors = [
            network(self._products(maps)) for network, maps in zip(networks, layers, strict=True)
        ]
        return F.normalize(torch.stack(vectors, dim=1), dim=2)

    def _products(self, maps: Tensor) -> Tensor:
        """Return products (B, samples) of each sample's maps with the maps of its group."""
        groups = maps.flatten(1).split(self.samples)
        return torch.cat([F.pad(rows @ rows.T, (0, self.samples - len(rows))) for rows in groups])

    def _small_network(self) -> nn.Module:
        width = max(1, self.samples // self.factor)
        return nn.Sequential(
            nn.Linear(self.samples, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def _adapter(self, student: int, teacher: int, kernel: int) -> nn.Module:
        middle = self.hidden * teacher
        return nn.Sequential(
            nn.Conv2d(student, middle, kernel_size=1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, middle, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, teacher, kernel_size=1, bias=False),
        )
