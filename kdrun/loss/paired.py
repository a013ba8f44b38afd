"""What methods share that compare places of both networks, pair by pair."""

from typing import Unpack

from kdrun.core.types import DataInfo, TapRequest, TapShapes
from kdrun.loss.adapters import grid_shape
from kdrun.loss.method import Method, Shares
from kdrun.loss.pairs import Pair, Pairs, join, request, told


class Paired(Method):
    """A method on pairs of places; what learns is built from their shapes.

    Attributes:
        auto: the places that `pairs: auto` means.
        joined: the pairs, once bound.
    """

    auto = "stages[*]"

    def __init__(self, pairs: Pairs, **shares: Unpack[Shares]) -> None:
        super().__init__(**shares)
        self.pairs = pairs
        self.joined: list[Pair] = []

    def taps(self) -> TapRequest:
        return request(self.pairs, auto=self.auto)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        self.joined = join(student, teacher)
        self.build()

    def build(self) -> None:
        """Build what learns beside the student, for each pair.

        Raises:
            UserError: the places can't be joined by this method.
        """

    def notes(self) -> list[str]:
        return [told(self.joined)]

    def channels(self) -> list[tuple[int, int]]:
        """Of each pair, the student's and the teacher's channels."""
        return [
            (grid_shape(pair.student_shape)[1], grid_shape(pair.teacher_shape)[1])
            for pair in self.joined
        ]
