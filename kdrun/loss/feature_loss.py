"""What methods share that compare places of both networks, pair by pair."""

from typing import Unpack

from kdrun.core.errors import UserError
from kdrun.core.types import DataInfo, TapRequest, TapShapes
from kdrun.loss.adapters import grid_shape, meets_in_one_pixel
from kdrun.loss.tap_pairs import Pair, Pairs, join, request, told
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss


class Paired(WeightedLoss):
    """A method on pairs of places; what learns is built from their shapes.

    Attributes:
        auto: the places that `pairs: auto` means.
        compares_pixels: whether maps of one pixel tell the method nothing; they are left out.
        joined: the pairs, once bound.
    """

    auto = "stages[*]"
    compares_pixels = False

    def __init__(self, pairs: Pairs, **shares: Unpack[TermWeights]) -> None:
        super().__init__(**shares)
        self.pairs = pairs
        self.joined: list[Pair] = []
        self.left_out: list[Pair] = []

    def taps(self) -> TapRequest:
        return request(self.pairs, auto=self.auto)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        self.joined = join(student, teacher)
        if self.compares_pixels:
            self._leave_out_one_pixel()
        self.build()

    def build(self) -> None:
        """Build what learns beside the student, for each pair.

        Raises:
            UserError: the places can't be joined by this method.
        """

    def notes(self) -> list[str]:
        left = "; ".join(pair.where for pair in self.left_out)
        note = [f"left out, as maps of one pixel tell nothing here: {left}"] if left else []
        return [told(self.joined), *note]

    def channels(self) -> list[tuple[int, int]]:
        """Of each pair, the student's and the teacher's channels."""
        return [
            (grid_shape(pair.student_shape)[1], grid_shape(pair.teacher_shape)[1])
            for pair in self.joined
        ]

    def _leave_out_one_pixel(self) -> None:
        pairs = self.joined
        self.left_out = [
            pair for pair in pairs if meets_in_one_pixel(pair.student_shape, pair.teacher_shape)
        ]
        self.joined = [pair for pair in pairs if pair not in self.left_out]
        if self.left_out and not self.joined:
            raise UserError(
                "this loss compares the pixels of maps, and there is only one in common of"
                f" {'; '.join(pair.where for pair in self.left_out)}.",
                "  name other places: loss.pairs=[[PATH,PATH],...] (kdrun layers model=NAME), or"
                " take another loss such as fitnet or cosine",
            )
