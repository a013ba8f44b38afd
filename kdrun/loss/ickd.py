"""Inter-channel correlation."""

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.adapters import adapted_rows_of, channel_adapter, rows_of
from kdrun.loss.feature_loss import FeatureLoss
from kdrun.loss.functional import no_autocast, sum_terms
from kdrun.loss.tap_pairs import TapPairs
from kdrun.loss.weighted_loss import TermWeights


class ICKD(FeatureLoss):
    """Inter-channel correlation: correlations of channels.

    Formula:
        ickd = (1 / (B C)) sum_b |G_s - G_t|_F^2, summed over the pairs of taps
        G = F F' (C, C), each row divided by its length; F (C, H W): the maps of a sample
        an adapter first brings the student's maps to the teacher's C channels

    Paper:
        Liu et al., Exploring Inter-Channel Correlation for Diversity-Preserved Knowledge
        Distillation, ICCV 2021, arXiv:2202.03680, ICKD-C as in the authors' code

    Needs:
        - feature maps of both (any networks)

    Notes:
        - This is the form for classification; the form for dense prediction is not implemented.
    """

    auto = "stages[-1]"
    compares_tokens = False

    def __init__(self, pairs: TapPairs, **weights: Unpack[TermWeights]) -> None:
        super().__init__(pairs, **weights)
        self.adapters = nn.ModuleList()

    def build(self) -> None:
        self.adapters = nn.ModuleList(channel_adapter(*widths) for widths in self.channels())

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        distances = []
        for pair, adapter in zip(self.tap_pairs, self.adapters, strict=True):
            adapted = adapted_rows_of(student, pair.student, adapter)
            with no_autocast(student.logits):
                correlations = _correlations(adapted)
                target = _correlations(rows_of(teacher, pair.teacher).detach())
            difference = (correlations - target).square().sum()
            distances.append(difference / (target.shape[0] * target.shape[1]))
        return {"ickd": sum_terms(distances)}


def _correlations(maps: Tensor) -> Tensor:
    """Return G (B, C, C) of maps (B, C, H, W), each row of length 1."""
    rows = maps.flatten(2)
    return F.normalize(rows @ rows.mT, dim=2)
