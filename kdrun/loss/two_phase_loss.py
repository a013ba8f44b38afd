"""A term that trains the student's body alone before the labels are looked at."""

from abc import abstractmethod
from typing import Unpack

from pydantic import NonNegativeInt
from torch import Tensor

from kdrun.core.types import MAIN, Batch, Output, Phase, Progress
from kdrun.loss.base import label_loss
from kdrun.loss.feature_loss import Paired
from kdrun.loss.tap_pairs import Pairs
from kdrun.loss.weighted_loss import TermWeights

FIRST = "first"


class Staged(Paired):
    """A method with its own term alone in a first phase, and labels without it after that.

    In the first phase the term counts as it is, and all of the student learns that the term
    reaches. Without first epochs, the term is added to the labels with its weight.
    """

    def __init__(
        self, first_epochs: NonNegativeInt, pairs: Pairs, **shares: Unpack[TermWeights]
    ) -> None:
        super().__init__(pairs, **shares)
        self.first_epochs = first_epochs

    def phases(self) -> tuple[Phase, ...]:
        if not self.first_epochs:
            return (MAIN,)
        return (Phase(FIRST, epochs=self.first_epochs), Phase(MAIN.name, trains=("student.*",)))

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        if progress.phase == FIRST and teacher is not None:
            return self.own(student, teacher)
        found = super().forward(student, teacher, batch, progress)
        # A sum of no terms has no gradient.
        return found or {"ce": 0 * label_loss(student.logits, batch)}

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        return {} if self.first_epochs else self.own(student, teacher)

    @abstractmethod
    def own(self, student: Output, teacher: Output) -> dict[str, Tensor]:
        """The method's own named scalars, whatever the phase."""
