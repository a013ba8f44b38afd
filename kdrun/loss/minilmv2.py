"""MiniLMv2: relations of queries, of keys and of values, in heads of their own."""

from math import gcd
from typing import Unpack

from pydantic import PositiveInt
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.attention_relations import relation_divergence, relation_scores
from kdrun.loss.functional import no_autocast
from kdrun.loss.text import require_texts
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_PROJECTIONS = ("queries", "keys", "values")


class MiniLMv2(WeightedLoss):
    """MiniLMv2: relations of queries, of keys and of values.

    Formula:
        minilm_queries + minilm_keys + minilm_values, each mean_ai KL(R_t,ai || R_s,ai)
        R_ai = softmax_j(x_ai . x_aj / sqrt(d)), x: queries, keys or values
        a: relation heads, into which all channels of a layer are divided anew; d: channels of one
        i, j: tokens of a text, without padding

    Paper:
        Wang, Bao, Huang, Dong, Wei, MiniLMv2: Multi-Head Self-Attention Relation Distillation for
        Compressing Pretrained Transformers, 2020, arXiv:2012.15828, equations 4 to 6

    Needs:
        - transformers of texts with one tokenizer (any widths, heads and depths)

    Notes:
        - The student's last layer learns from one layer of the teacher: the last one for teachers
          of BERT-base's size; the paper takes layer 21 of 24 of BERT-large, and layer 19 of 24 of
          RoBERTa-large and XLM-R-large.
        - More relation heads than attention heads give finer relations; the paper's students have
          48.
        - The mean goes over the tokens of all texts of a batch, so longer texts count for more.
    """

    def __init__(
        self, relation_heads: PositiveInt, teacher_layer: int, **weights: Unpack[TermWeights]
    ) -> None:
        super().__init__(**weights)
        self.relation_heads, self.teacher_layer = relation_heads, teacher_layer

    def taps(self) -> TapRequest:
        return TapRequest(
            {name: f"{name}[-1]" for name in _PROJECTIONS},
            {name: f"{name}[{self.teacher_layer}]" for name in _PROJECTIONS},
        )

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        teacher = require_texts("minilmv2", student, teacher, data)
        widths = student.shapes["queries"][2], teacher.shapes["queries"][2]
        common = gcd(*widths)
        if common % self.relation_heads:
            allowed = [heads for heads in range(1, common + 1) if common % heads == 0]
            raise UserError(
                f"minilmv2 divides {widths[0]} channels of the student and {widths[1]} of the"
                f" teacher into {self.relation_heads} relation heads each, which does not go.",
                f"  allowed: loss.relation_heads={','.join(map(str, allowed))}",
            )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        return {f"minilm_{name}": self._divergence(student, teacher, name) for name in _PROJECTIONS}

    def _divergence(self, student: Output, teacher: Output, name: str) -> Tensor:
        if student.mask is None:
            raise TypeError("the student reads no texts")
        with no_autocast(student.logits):
            return relation_divergence(
                relation_scores(student, name, name, self.relation_heads),
                relation_scores(teacher, name, name, self.relation_heads).detach(),
                student.mask,
            )
