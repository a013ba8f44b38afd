"""Which channels say the same: correlations of the student's channels pulled to the teacher's."""

import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.adapters import as_grid, channel_adapter
from kdrun.loss.base import no_autocast, to_float32
from kdrun.loss.feature_loss import Paired


class Channels(Paired):
    """Liu et al. 2021 (arXiv:2202.03680): ICKD-C, as the authors' code has it.

    Sum over pairs of (1 / (B C)) sum_b |G_s - G_t|_F^2, where G = F F' (C, C) with rows of unit
    length and F (C, H W) are a sample's maps, the student's adapted to the teacher's channels.
    """

    auto = "stages[-1]"

    def build(self) -> None:
        self.adapters = nn.ModuleList(channel_adapter(own, other) for own, other in self.channels())

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        distances = []
        for pair, adapter in zip(self.joined, self.adapters, strict=True):
            adapted = adapter(as_grid(to_float32(student.taps[pair.student])))
            with no_autocast(student.logits):
                own = _correlations(adapted)
                other = _correlations(as_grid(teacher.taps[pair.teacher].detach()))
            apart = (own - other).square().sum() / (other.shape[0] * other.shape[1])
            distances.append(apart)
        return {"ickd": sum(distances[1:], distances[0])}


def _correlations(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> inner products of the channels (B, C, C), each row of unit length."""
    rows = to_float32(maps).flatten(2)
    return F.normalize(rows @ rows.mT, dim=2)
