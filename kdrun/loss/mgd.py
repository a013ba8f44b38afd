"""The teacher's features restored from a part of the student's."""

from typing import Literal, Unpack

import torch
from torch import Tensor, nn

from kdrun.core.ranges import UnitInterval
from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.adapters import aligned
from kdrun.loss.feature_loss import Paired
from kdrun.loss.tap_pairs import Pairs
from kdrun.loss.weighted_loss import TermWeights


class MGD(Paired):
    """Yang et al. 2022 (arXiv:2205.01529), equations 3 to 5: |G(r(F_s) * M) - F_t|^2 / B.

    A sum of squares over maps, divided by the samples. M drops a share of the channels or of the
    pixels at random, r is a 1x1 convolution where channels differ, G a 3x3 convolution, a ReLU and
    another 3x3 convolution.
    """

    auto = "stages[-1]"

    def __init__(
        self,
        drop: Literal["channels", "pixels"],
        masked: UnitInterval,
        pairs: Pairs,
        **shares: Unpack[TermWeights],
    ) -> None:
        super().__init__(pairs, **shares)
        self.drop, self.masked = drop, masked

    def build(self) -> None:
        self.adapters, self.generators = nn.ModuleList(), nn.ModuleList()
        for own, other in self.channels():
            self.adapters.append(nn.Identity() if own == other else nn.Conv2d(own, other, 1))
            self.generators.append(
                nn.Sequential(
                    nn.Conv2d(other, other, kernel_size=3, padding=1),
                    nn.ReLU(),
                    nn.Conv2d(other, other, kernel_size=3, padding=1),
                )
            )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        found = []
        parts = zip(self.joined, self.adapters, self.generators, strict=True)
        for pair, adapter, generator in parts:
            own, other = aligned(student.taps[pair.student], teacher.taps[pair.teacher])
            adapted = adapter(own)
            restored = generator(adapted * self._mask(adapted)).to(other.dtype)
            found.append((restored - other).square().sum() / len(other))
        return {"mgd": torch.stack(found).sum()}

    def _mask(self, maps: Tensor) -> Tensor:
        """1 for what is kept, 0 for what is dropped."""
        batch, channels, height, width = maps.shape
        shape = (batch, channels, 1, 1) if self.drop == "channels" else (batch, 1, height, width)
        return (torch.rand(shape, device=maps.device) >= self.masked).to(maps.dtype)
