"""The base class of losses that compare layers of student and teacher in pairs."""

from typing import Unpack

from kdrun.core.errors import UserError
from kdrun.core.types import DataInfo, Output, TapRequest, TapShapes
from kdrun.loss.adapters import (
    Channels,
    MapPair,
    align,
    count_channels,
    maps_of,
    meets_in_one_pixel,
    rows_of,
)
from kdrun.loss.tap_pairs import (
    TapPair,
    TapPairs,
    describe_pairs,
    pair_taps,
    request_pairs,
    require_one_tokenizer,
    require_same_tokens,
)
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss


class FeatureLoss(WeightedLoss):
    """A loss on pairs of taps, with adapters that are built from the shapes of the taps.

    Attributes:
        auto: the role that `pairs: auto` stands for.
        compares_pixels: whether the loss compares pixels of a map with each other; then pairs whose
            maps have one pixel are skipped.
        compares_tokens: whether tokens (B, T, C) of student and teacher are compared one by one, so
            that both must have one tokenizer.
        is_text: whether the networks read texts; set by `bind`.
        tap_pairs: the pairs that are compared; set by `bind`.
        skipped: the pairs that are skipped; set by `bind`.
    """

    auto = "stages[*]"
    compares_pixels = False
    compares_tokens = True

    def __init__(self, pairs: TapPairs, **weights: Unpack[TermWeights]) -> None:
        super().__init__(**weights)
        self.pairs = pairs
        self.is_text = False
        self.tap_pairs: list[TapPair] = []
        self.skipped: list[TapPair] = []

    def taps(self) -> TapRequest:
        return request_pairs(self.pairs, auto=self.auto)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        self.is_text = data.inputs.modality == "text"
        self.tap_pairs = pair_taps(student, teacher)
        if self.is_text and self.compares_tokens:
            require_one_tokenizer(student, teacher)
            require_same_tokens(self.tap_pairs)
        if self.compares_pixels:
            self._skip_single_pixels()
        self.build()

    def build(self) -> None:
        """Build the trainable modules of each pair.

        Raises:
            UserError: this loss can't compare the layers.
        """

    @property
    def kernel(self) -> int:
        """The kernel size of adapters that mix pixels; a token of a text is a map of one pixel."""
        return 1 if self.is_text else 3

    def notes(self) -> list[str]:
        notes = [describe_pairs(self.tap_pairs)]
        if self.skipped:
            skipped = "; ".join(pair.description for pair in self.skipped)
            reason = "their maps have a single pixel and this loss compares pixels"
            notes.append(f"left out, as {reason}: {skipped}")
        return notes

    def channels(self) -> list[Channels]:
        """Return the numbers of channels of each pair."""
        return [count_channels(pair.student_shape, pair.teacher_shape) for pair in self.tap_pairs]

    def aligned(self, student: Output, teacher: Output) -> list[MapPair]:
        """Return the maps of each pair at the same size, by `align`."""
        read = rows_of if self.compares_pixels else maps_of
        return [
            align(read(student, pair.student), read(teacher, pair.teacher))
            for pair in self.tap_pairs
        ]

    def _skip_single_pixels(self) -> None:
        pairs = self.tap_pairs
        self.skipped = [
            pair for pair in pairs if meets_in_one_pixel(pair.student_shape, pair.teacher_shape)
        ]
        self.tap_pairs = [pair for pair in pairs if pair not in self.skipped]
        if self.skipped and not self.tap_pairs:
            raise UserError(
                "this loss compares the pixels of maps, and there is only one in common of"
                f" {'; '.join(pair.description for pair in self.skipped)}.",
                "  name other layers: loss.pairs=[[PATH,PATH],...] (kdrun layers model=NAME), or"
                " take another loss such as fitnet or cosine",
            )
