"""Cosine similarity of embeddings."""

from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.adapters import embeddings_of
from kdrun.loss.feature_loss import FeatureLoss
from kdrun.loss.tap_pairs import TapPairs
from kdrun.loss.weighted_loss import TermWeights


class Cosine(FeatureLoss):
    """Cosine similarity: the direction of embeddings.

    Formula:
        mean_i (1 - cos(r(f_s,i), f_t,i)), summed over the pairs of taps
        f_s, f_t: embeddings of student and teacher; r: a learned linear map if the widths differ

    Paper:
        Sanh et al., DistilBERT, a distilled version of BERT: smaller, faster, cheaper and lighter,
        2019, arXiv:1910.01108

    Needs:
        - embeddings of both (any widths)

    Notes:
        - The paper compares hidden states of language models, as one of three terms; for images
          there is no published weight, so sweep it.
        - Maps are averaged over their pixels, texts over their tokens; loss=distilbert compares
          token by token.
    """

    auto = "embedding"
    compares_tokens = False

    def __init__(self, pairs: TapPairs, **weights: Unpack[TermWeights]) -> None:
        super().__init__(pairs, **weights)
        self.adapters = nn.ModuleList()

    def build(self) -> None:
        self.adapters = nn.ModuleList(
            nn.Identity() if widths.student == widths.teacher else nn.Linear(*widths)
            for widths in self.channels()
        )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        distances = []
        for pair, adapter in zip(self.tap_pairs, self.adapters, strict=True):
            adapted = adapter(embeddings_of(student, pair.student))
            target = embeddings_of(teacher, pair.teacher).detach()
            distances.append(1 - F.cosine_similarity(adapted.to(target.dtype), target).mean())
        return {"cosine": torch.stack(distances).sum()}
