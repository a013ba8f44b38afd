"""The base class of losses that compare relations between the samples of a batch."""

from abc import abstractmethod
from typing import Unpack

from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.adapters import embeddings_of
from kdrun.loss.feature_loss import FeatureLoss
from kdrun.loss.functional import no_autocast, sum_terms
from kdrun.loss.tap_pairs import TapPair, TapPairs
from kdrun.loss.weighted_loss import TermWeights


class RelationLoss(FeatureLoss):
    """A term on the embeddings (B, C_s) and (B, C_t) of a batch.

    Maps are averaged over pixels, texts over tokens.

    For a batch of one sample the term is 0.
    """

    auto = "embedding"
    compares_tokens = False
    min_batch = 2

    def __init__(self, name: str, pairs: TapPairs, **weights: Unpack[TermWeights]) -> None:
        super().__init__(pairs, **weights)
        self.name = name

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        with no_autocast(student.logits):
            distances = [self._pair_term(pair, student, teacher) for pair in self.tap_pairs]
        return {self.name: sum_terms(distances)}

    @abstractmethod
    def compare(self, pair: TapPair, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the term of one pair, from embeddings (B, C_s) and (B, C_t), B >= 2."""

    def _pair_term(self, pair: TapPair, student: Output, teacher: Output) -> Tensor:
        embeddings = embeddings_of(student, pair.student)
        if len(embeddings) < self.min_batch:
            return 0 * embeddings.sum()
        return self.compare(pair, embeddings, embeddings_of(teacher, pair.teacher).detach())
