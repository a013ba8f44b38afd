"""What methods share that compare how samples of a batch lie to each other."""

from abc import abstractmethod
from typing import Unpack

from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.adapters import flat
from kdrun.loss.base import no_autocast
from kdrun.loss.feature_loss import Paired
from kdrun.loss.tap_pairs import Pair, Pairs
from kdrun.loss.weighted_loss import TermWeights


class Relation(Paired):
    """A term on the embeddings (B, C_s) and (B, C_t) of a batch; maps are averaged over pixels.

    One sample has no relations: its term is 0.
    """

    auto = "embedding"

    min_batch = 2

    def __init__(self, name: str, pairs: Pairs, **shares: Unpack[TermWeights]) -> None:
        super().__init__(pairs, **shares)
        self.name = name

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        with no_autocast(student.logits):
            found = [self._of(pair, student, teacher) for pair in self.joined]
        return {self.name: sum(found[1:], found[0])}

    @abstractmethod
    def between(self, pair: Pair, student: Tensor, teacher: Tensor) -> Tensor:
        """The term of one pair, from embeddings (B, C_s) and (B, C_t) with B of 2 or more."""

    def _of(self, pair: Pair, student: Output, teacher: Output) -> Tensor:
        own = flat(student.taps[pair.student])
        if len(own) < self.min_batch:
            return 0 * own.sum()
        return self.between(pair, own, flat(teacher.taps[pair.teacher].detach()))
