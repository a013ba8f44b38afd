"""Which samples a network finds alike: the student's similarities pulled to the teacher's."""

import torch.nn.functional as F
from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.base import no_autocast, to_float32
from kdrun.loss.feature_loss import Paired


class Similarity(Paired):
    """Tung and Mori 2019 (arXiv:1907.09682), equations 1 to 4.

    Sum over pairs of (1 / B^2) |G_s - G_t|_F^2, where G = A A' with rows of unit length and A is
    the batch of features, one flattened sample a row (B, C H W). The two networks' features may
    have any shapes; a batch of one sample has nothing to compare and gives 0.
    """

    auto = "stages[-1]"
    min_batch = 2

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        with no_autocast(student.logits):
            distances = [
                F.mse_loss(
                    _similarities(student.taps[pair.student]),
                    _similarities(teacher.taps[pair.teacher].detach()),
                )
                for pair in self.joined
            ]
        return {"sp": sum(distances[1:], distances[0])}


def _similarities(features: Tensor) -> Tensor:
    """(B, ...) -> inner products of the samples (B, B), each row of unit length."""
    rows = to_float32(features).flatten(1)
    return F.normalize(rows @ rows.T)
