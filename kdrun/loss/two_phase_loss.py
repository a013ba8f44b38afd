"""The base class of losses that train the student first on features, then on labels."""

from abc import abstractmethod
from typing import Unpack

from pydantic import NonNegativeInt
from torch import Tensor

from kdrun.core.types import MAIN, Batch, Output, Phase, Progress
from kdrun.loss.feature_loss import FeatureLoss
from kdrun.loss.tap_pairs import TapPairs
from kdrun.loss.weighted_loss import TermWeights

FIRST = "first"  # the name of the first phase


class TwoPhaseLoss(FeatureLoss):
    """A first phase with the feature term alone, unweighted, then a main phase without it.

    In the first phase all layers learn that the feature term depends on. With `first_epochs=0`
    there is no first phase, and the feature term is added to the main phase with its weight.
    """

    def __init__(
        self, first_epochs: NonNegativeInt, pairs: TapPairs, **weights: Unpack[TermWeights]
    ) -> None:
        super().__init__(pairs, **weights)
        self.first_epochs = first_epochs

    def phases(self) -> tuple[Phase, ...]:
        if not self.first_epochs:
            return (MAIN,)
        return (Phase(FIRST, epochs=self.first_epochs), Phase(MAIN.name, trains=("student.*",)))

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        if progress.phase == FIRST and teacher is not None:
            return self.feature_terms(student, teacher)
        return super().forward(student, teacher, batch, progress)

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        return {} if self.first_epochs else self.feature_terms(student, teacher)

    @abstractmethod
    def feature_terms(self, student: Output, teacher: Output) -> dict[str, Tensor]:
        """Return the named feature terms, scalars without their weight."""
