"""Factor transfer: the student learns the teacher's maps as an autoencoder compresses them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from kdrun.core.ranges import UnitAboveZero
from kdrun.core.types import MAIN, Batch, Output, Phase, Progress
from kdrun.loss.adapters import maps_of, to_smaller_size
from kdrun.loss.feature_loss import FeatureLoss
from kdrun.loss.functional import sum_terms, to_float32
from kdrun.loss.tap_pairs import TapPair, TapPairs
from kdrun.loss.weighted_loss import TermWeights

_FIRST = "paraphraser"  # the name of the first phase
_SLOPE = 0.1  # negative slope of the leaky ReLUs


class _PairCoders(NamedTuple):
    """The modules of a pair of taps; the paraphraser is an encoder and a decoder."""

    pair: TapPair
    encoder: nn.Module
    decoder: nn.Module
    translator: nn.Module


class FT(FeatureLoss):
    """Factor transfer: maps compressed by an autoencoder.

    Formula:
        ft = mean |v_s / |v_s|_2 - v_t / |v_t|_2|, summed over the pairs of taps
        v_t: factors, the flattened output of the paraphraser's encoder for the teacher's maps, with
          `rate` times the channels
        v_s: the translator's flattened output for the student's maps
        first phase, unweighted: mean (decoder(encoder(F_t)) - F_t)^2
        averaged over the batch and the elements

    Paper:
        Kim, Park and Kwak, Paraphrasing Complex Network: Network Compression via Factor Transfer,
        NeurIPS 2018, arXiv:1802.04977, equations 1 to 3

    Needs:
        - feature maps of both (any networks)
        - a first phase of loss.first_epochs epochs, which trains the paraphraser alone

    Notes:
        - All factors are compared, as in the paper; the public code of the CIFAR-100 tables in
          distillation papers compares an attention map of the factors, with another weight.
        - The first phase keeps the learning rate; in this public code that is 0.01 for ResNets and
          wide ResNets, whatever the recipe's.
        - Factors of two sizes are averaged to the smaller one.
        - In a text each token is a map of one pixel, and the convolutions have 1x1 kernels.
        - The paraphraser has no norm, as in this public code; the translator has a norm after each
          convolution.
    """

    auto = "stages[-1]"

    def __init__(
        self,
        pairs: TapPairs,
        rate: UnitAboveZero,
        first_epochs: PositiveInt,
        **weights: Unpack[TermWeights],
    ) -> None:
        super().__init__(pairs, **weights)
        self.rate, self.first_epochs = rate, first_epochs
        self.paraphraser, self.translator = nn.ModuleList(), nn.ModuleList()

    def phases(self) -> tuple[Phase, ...]:
        first = Phase(_FIRST, epochs=self.first_epochs, trains=("loss.paraphraser.*",))
        return (first, Phase(MAIN.name, trains=("student.*", "loss.translator.*")))

    def build(self) -> None:
        self.paraphraser, self.translator = nn.ModuleList(), nn.ModuleList()
        for widths in self.channels():
            factors = max(1, int(widths.teacher * self.rate))
            encoder = _encoder(widths.teacher, factors, self.kernel, norm=False)
            decoder = _decoder(factors, widths.teacher, self.kernel)
            self.paraphraser.append(nn.ModuleList([encoder, decoder]))
            self.translator.append(_encoder(widths.student, factors, self.kernel, norm=True))

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
        for pair, encoder, _, translator in self._coders():
            factors = to_float32(translator(maps_of(student, pair.student)))
            with torch.no_grad():
                target = to_float32(encoder(_teacher_maps(teacher, pair)))
            distances.append(_distance(*to_smaller_size(factors, target)))
        return {"ft": sum_terms(distances)}

    def _reconstruction(self, teacher: Output) -> Tensor:
        errors = []
        for pair, encoder, decoder, _ in self._coders():
            maps = _teacher_maps(teacher, pair)
            errors.append(F.mse_loss(to_float32(decoder(encoder(maps))), maps))
        return sum_terms(errors)

    def _coders(self) -> Iterator[_PairCoders]:
        modules = zip(self.tap_pairs, self.paraphraser, self.translator, strict=True)
        for pair, paraphraser, translator in modules:
            encoder, decoder = paraphraser.children()
            yield _PairCoders(pair, encoder, decoder, translator)


def _teacher_maps(teacher: Output, pair: TapPair) -> Tensor:
    return maps_of(teacher, pair.teacher).detach()


def _distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean absolute difference of factors (B, C, H, W), as unit vectors per sample."""
    return F.l1_loss(F.normalize(student.flatten(1)), F.normalize(teacher.flatten(1)))


def _encoder(channels: int, factors: int, kernel: int, norm: bool) -> nn.Sequential:
    """Return three convolutions, each with a leaky ReLU, from maps to factors."""
    widths = ((channels, channels), (channels, factors), (factors, factors))
    return _layers([nn.Conv2d(a, b, kernel, padding=kernel // 2) for a, b in widths], norm)


def _decoder(factors: int, channels: int, kernel: int) -> nn.Sequential:
    """Return three transposed convolutions, each with a leaky ReLU, from factors to maps."""
    widths = ((factors, factors), (factors, channels), (channels, channels))
    convolutions = [nn.ConvTranspose2d(a, b, kernel, padding=kernel // 2) for a, b in widths]
    return _layers(convolutions, norm=False)


def _layers(convolutions: Sequence[nn.Conv2d | nn.ConvTranspose2d], norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for convolution in convolutions:
        layers.append(convolution)
        if norm:
            layers.append(nn.BatchNorm2d(convolution.out_channels))
        layers.append(nn.LeakyReLU(_SLOPE))
    return nn.Sequential(*layers)
