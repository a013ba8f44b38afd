"""The teacher's features said again in fewer words, which the student learns to say."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from kdrun.core.ranges import UnitAboveZero
from kdrun.core.types import MAIN, Batch, Output, Phase, Progress
from kdrun.loss.adapters import as_grid, to_smaller_grid
from kdrun.loss.base import to_float32
from kdrun.loss.feature_loss import Paired
from kdrun.loss.tap_pairs import Pair, Pairs
from kdrun.loss.weighted_loss import TermWeights

_FIRST = "paraphraser"
_SLOPE = 0.1  # of the leaky ReLUs


class Factor(Paired):
    """Kim, Park, Kwak 2018 (arXiv:1802.04977), equations 1 to 3.

    First phase: a paraphraser learns to restore the teacher's maps from factors with `rate` times
    the channels; mean (P(F_t) - F_t)^2, unweighted. Then a translator of the student's maps learns
    with the student: mean |v_s / |v_s|_2 - v_t / |v_t|_2| over a sample's flattened factors v.
    """

    auto = "stages[-1]"

    def __init__(
        self,
        pairs: Pairs,
        rate: UnitAboveZero,
        first_epochs: PositiveInt,
        **shares: Unpack[TermWeights],
    ) -> None:
        super().__init__(pairs, **shares)
        self.rate, self.first_epochs = rate, first_epochs

    def phases(self) -> tuple[Phase, ...]:
        first = Phase(_FIRST, epochs=self.first_epochs, trains=("loss.paraphraser.*",))
        return (first, Phase(MAIN.name, trains=("student.*", "loss.translator.*")))

    def build(self) -> None:
        self.paraphraser, self.translator = nn.ModuleList(), nn.ModuleList()
        for own, other in self.channels():
            factors = max(1, int(other * self.rate))
            self.paraphraser.append(
                nn.ModuleList([_encoder(other, factors, norm=False), _decoder(factors, other)])
            )
            self.translator.append(_encoder(own, factors, norm=True))

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        if progress.phase == _FIRST and teacher is not None:
            return {"reconstruction": self._reconstruction(teacher)}
        return super().forward(student, teacher, batch, progress)

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        distances = []
        for pair, (encoder, _), translator in self._each():
            own = to_float32(translator(as_grid(to_float32(student.taps[pair.student]))))
            with torch.no_grad():
                other = to_float32(
                    encoder(as_grid(to_float32(teacher.taps[pair.teacher].detach())))
                )
            distances.append(_distance(*to_smaller_grid(own, other)))
        return {"ft": sum(distances[1:], distances[0])}

    def _reconstruction(self, teacher: Output) -> Tensor:
        distances = []
        for pair, (encoder, decoder), _ in self._each():
            maps = as_grid(to_float32(teacher.taps[pair.teacher].detach()))
            distances.append(F.mse_loss(to_float32(decoder(encoder(maps))), maps))
        return sum(distances[1:], distances[0])

    def _each(self) -> Iterator[tuple[Pair, Iterable[nn.Module], nn.Module]]:
        for pair, coder, translator in zip(
            self.joined, self.paraphraser, self.translator, strict=True
        ):
            yield pair, coder.children(), translator


def _distance(student: Tensor, teacher: Tensor) -> Tensor:
    """The mean absolute difference of two factors (B, C, H, W), each sample's of length 1."""
    return F.l1_loss(F.normalize(student.flatten(1)), F.normalize(teacher.flatten(1)))


def _encoder(channels: int, factors: int, norm: bool) -> nn.Sequential:
    """Three 3x3 convolutions, each with a leaky ReLU, from maps to factors."""
    widths = ((channels, channels), (channels, factors), (factors, factors))
    return _layers([nn.Conv2d(a, b, 3, padding=1) for a, b in widths], norm)


def _decoder(factors: int, channels: int) -> nn.Sequential:
    """The way back."""
    widths = ((factors, factors), (factors, channels), (channels, channels))
    return _layers([nn.ConvTranspose2d(a, b, 3, padding=1) for a, b in widths], norm=False)


def _layers(convolutions: Sequence[nn.Conv2d | nn.ConvTranspose2d], norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for convolution in convolutions:
        layers.append(convolution)
        if norm:
            layers.append(nn.BatchNorm2d(convolution.out_channels))
        layers.append(nn.LeakyReLU(_SLOPE))
    return nn.Sequential(*layers)
