"""MiniLM: attention and value relations of the last layer."""

from typing import Unpack

from torch import Tensor

from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.attention_relations import common_heads, relation_divergence, relation_scores
from kdrun.loss.functional import no_autocast
from kdrun.loss.text import require_texts
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_QUERIES, _KEYS, _VALUES = "queries", "keys", "values"


class MiniLM(WeightedLoss):
    """MiniLM: attention and value relations, last layer.

    Formula:
        minilm_attention + minilm_values, each mean_ai KL(R_t,ai || R_s,ai)
        attention: R_ai = softmax_j(q_ai . k_aj / sqrt(d)); values: R_ai = softmax_j(v_ai . v_aj /
          sqrt(d))
        a: attention heads; i, j: tokens of a text, without padding; d: channels of a head
        q, k, v: queries, keys and values of the last layer of student and teacher

    Paper:
        Wang, Wei, Dong, Bao, Yang, Zhou, MiniLM: Deep Self-Attention Distillation for Task-Agnostic
        Compression of Pre-Trained Transformers, NeurIPS 2020, arXiv:2002.10957, equations 6 and 9

    Needs:
        - transformers of texts with one tokenizer and the same number of heads (any widths and
          depths)

    Notes:
        - The paper distils without labels, before fine-tuning; here the labels count too.
        - The mean goes over the tokens of all texts of a batch, so longer texts count for more.
        - Scores are products alone, without the relative positions of MPNet and DeBERTa.
        - loss=minilmv2 takes networks with different numbers of heads.
    """

    heads: int  # set by `bind`

    def __init__(self, **weights: Unpack[TermWeights]) -> None:
        super().__init__(**weights)

    def taps(self) -> TapRequest:
        last = {name: f"{name}[-1]" for name in (_QUERIES, _KEYS, _VALUES)}
        return TapRequest(last, last)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        teacher = require_texts("minilm", student, teacher, data)
        self.heads = common_heads("minilm", student, teacher, _QUERIES)

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        return {
            "minilm_attention": self._divergence(student, teacher, _QUERIES, _KEYS),
            "minilm_values": self._divergence(student, teacher, _VALUES, _VALUES),
        }

    def _divergence(self, student: Output, teacher: Output, first: str, second: str) -> Tensor:
        if student.mask is None:
            raise TypeError("the student reads no texts")
        with no_autocast(student.logits):
            return relation_divergence(
                relation_scores(student, first, second, self.heads),
                relation_scores(teacher, first, second, self.heads).detach(),
                student.mask,
            )
