"""Every place of the student learns from every place of the teacher, as much as it is like it."""

from collections.abc import Mapping
from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import aligned, as_grid, grid_shape
from kdrun.loss.base import no_autocast, to_float32
from kdrun.loss.tap_pairs import Places, Shape, known, several
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_MOST = 2**30  # parameters in all adapters: 4 GiB, three times over while they are trained


class SemCKD(WeightedLoss):
    """Chen et al. 2021 (arXiv:2012.03236), section 3, as its published code has it.

    (1 / B S) sum over samples b and places i of the student (S) and j of the teacher of
    a_bij mean (r_ij(F_s,i) - F_t,j)^2. The shares a_bi. are a softmax over j of q_bi . k_bj: unit
    vectors which small networks make of row b of the likenesses F F' of the batch's samples.
    r_ij is three convolutions (1x1, 3x3, 1x1). Maps of two sizes meet at the smaller one.

    The likenesses are those within groups of up to `samples`, which the small networks take; a
    smaller group is filled up with zeros. The code takes the batch size and skips smaller ones.
    """

    min_batch = 2

    def __init__(
        self,
        samples: PositiveInt,
        factor: PositiveInt,
        hidden: PositiveInt,
        student_places: Places,
        teacher_places: Places,
        **shares: Unpack[TermWeights],
    ) -> None:
        super().__init__(**shares)
        self.samples, self.factor, self.hidden = samples, factor, hidden
        self.student_places, self.teacher_places = student_places, teacher_places

    def taps(self) -> TapRequest:
        return TapRequest(
            several(self.student_places, auto="stages[*]"),
            several(self.teacher_places, auto="stages[*]"),
        )

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if teacher is None:
            raise TypeError("this loss reads a teacher, and none was given")
        own, other = known(student.shapes, "student"), known(teacher.shapes, "teacher")
        self.own, self.other = list(own), list(other)
        self.where = [
            [network.paths[tap] for tap in network.shapes] for network in (student, teacher)
        ]
        self._refuse_too_many(own, other)
        self.queries = nn.ModuleList(self._small_network() for _ in own)
        self.keys = nn.ModuleList(self._small_network() for _ in other)
        self.adapters = nn.ModuleList(
            self._adapter(grid_shape(source)[1], grid_shape(target)[1])
            for source in own.values()
            for target in other.values()
        )

    def notes(self) -> list[str]:
        own, other = (", ".join(places) for places in self.where)
        return [f"each of {own} from each of {other}"]

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        own = [as_grid(to_float32(student.taps[tap])) for tap in self.own]
        if len(own[0]) < self.min_batch:
            return {"semckd": 0 * own[0].sum()}
        other = [as_grid(to_float32(teacher.taps[tap].detach())) for tap in self.other]
        apart = torch.stack(
            [torch.stack(self._apart(number, own, other)) for number in range(len(own))]
        )
        with no_autocast(student.logits):
            query, key = self._vectors(self.queries, own), self._vectors(self.keys, other)
            shares = (query @ key.transpose(1, 2)).softmax(dim=2)
        return {"semckd": (shares * apart.permute(2, 0, 1)).sum() / shares.shape[:2].numel()}

    def _refuse_too_many(self, own: Mapping[str, Shape], other: Mapping[str, Shape]) -> None:
        pairs = [(grid_shape(s)[1], grid_shape(t)[1]) for s in own.values() for t in other.values()]
        inner = [(s, self.hidden * t, t) for s, t in pairs]
        count = sum(s * middle + 9 * middle**2 + middle * t for s, middle, t in inner)
        if count > _MOST:
            raise UserError(
                f"loss 'semckd' would need {len(pairs)} adapters, one for each pair of places, "
                f"with {count / 1e9:.1f} billion weights.",
                "  name fewer places: loss.teacher_places=[PATH,...]; or make them narrower: "
                "loss.hidden=1",
            )

    def _apart(self, number: int, own: list[Tensor], other: list[Tensor]) -> list[Tensor]:
        """The squared errors (B,) of one place of the student, for each of the teacher."""
        found = []
        for column, target in enumerate(other):
            source, target = aligned(own[number], target)
            adapted = self.adapters[number * len(other) + column](source)
            found.append((to_float32(adapted) - target).square().mean(dim=(1, 2, 3)))
        return found

    def _vectors(self, networks: nn.ModuleList, maps: list[Tensor]) -> Tensor:
        """Unit vectors (B, places, samples / factor)."""
        found = [
            network(self._likenesses(place)) for network, place in zip(networks, maps, strict=True)
        ]
        return F.normalize(torch.stack(found, dim=1), dim=2)

    def _likenesses(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) -> products (B, samples) with the samples of the same group."""
        groups = maps.flatten(1).split(self.samples)
        return torch.cat([F.pad(rows @ rows.T, (0, self.samples - len(rows))) for rows in groups])

    def _small_network(self) -> nn.Module:
        width = max(1, self.samples // self.factor)
        return nn.Sequential(
            nn.Linear(self.samples, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def _adapter(self, student: int, teacher: int) -> nn.Module:
        middle = self.hidden * teacher
        return nn.Sequential(
            nn.Conv2d(student, middle, kernel_size=1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, middle, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, teacher, kernel_size=1, bias=False),
        )
