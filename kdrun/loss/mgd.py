"""Masked generative distillation: a generator restores the teacher's maps from masked ones."""

from functools import partial
from typing import Literal, Unpack

import torch
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.ranges import UnitInterval
from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.feature_loss import FeatureLoss
from kdrun.loss.tap_pairs import TapPairs
from kdrun.loss.weighted_loss import TermWeights


class MGD(FeatureLoss):
    """Masked generative: the teacher's maps from masked maps.

    Formula:
        (1 / B) |G(r(F_s) * M) - F_t|^2, summed over the pairs of taps and all elements
        M: 0 for a random share `masked` of the channels or pixels, else 1
        r: a learned 1x1 convolution if the channels differ, else the identity
        G: two learned 3x3 convolutions with a ReLU between them

    Paper:
        Yang et al., Masked Generative Distillation, ECCV 2022, arXiv:2205.01529, equations 3 to 5

    Needs:
        - feature maps of both (any networks)

    Notes:
        - The sum over elements grows with the size of the maps. The default weight suits the last
          maps of ImageNet models; for other sizes sweep it.
        - In a text each token is a map of one pixel, B counts tokens, and G has 1x1 kernels.
        - The published code masks channels for classification, which is the default here, and
          pixels for dense prediction.
    """

    auto = "stages[-1]"

    def __init__(
        self,
        drop: Literal["channels", "pixels"],
        masked: UnitInterval,
        pairs: TapPairs,
        **weights: Unpack[TermWeights],
    ) -> None:
        super().__init__(pairs, **weights)
        self.drop, self.masked = drop, masked
        self.adapters, self.generators = nn.ModuleList(), nn.ModuleList()

    def build(self) -> None:
        self.adapters, self.generators = nn.ModuleList(), nn.ModuleList()
        if self.is_text and self.drop == "pixels":
            raise UserError(
                "mgd restores masked pixels from their neighbors, and takes each token of a text by"
                " itself.",
                "  mask channels: loss.drop=channels",
            )
        convolution = partial(nn.Conv2d, kernel_size=self.kernel, padding=self.kernel // 2)
        for widths in self.channels():
            differ = widths.student != widths.teacher
            self.adapters.append(nn.Conv2d(*widths, kernel_size=1) if differ else nn.Identity())
            self.generators.append(
                nn.Sequential(
                    convolution(widths.teacher, widths.teacher),
                    nn.ReLU(),
                    convolution(widths.teacher, widths.teacher),
                )
            )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        errors = []
        pairs = zip(self.aligned(student, teacher), self.adapters, self.generators, strict=True)
        for maps, adapter, generator in pairs:
            adapted = adapter(maps.student)
            restored = generator(adapted * self._mask(adapted)).to(maps.teacher.dtype)
            errors.append((restored - maps.teacher).square().sum() / len(maps.teacher))
        return {"mgd": torch.stack(errors).sum()}

    def _mask(self, maps: Tensor) -> Tensor:
        """Return M, which broadcasts to maps (B, C, H, W)."""
        batch, channels, height, width = maps.shape
        shape = (batch, channels, 1, 1) if self.drop == "channels" else (batch, 1, height, width)
        return (torch.rand(shape, device=maps.device) >= self.masked).to(maps.dtype)
