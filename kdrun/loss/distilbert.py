"""DistilBERT: cosine of hidden states, and masked language modeling where it is asked for."""

from typing import Unpack

import torch.nn.functional as F
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.functional import to_float32
from kdrun.loss.masked_language import TokenHead, guessed_ids, mask_tokens
from kdrun.loss.text import require_texts, token_vectors, width_adapter
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_HIDDEN, _TOKENS = "hidden", "tokens"


class DistilBERT(WeightedLoss):
    """DistilBERT: directions of hidden states, by token.

    Formula:
        cosine = mean_i (1 - cos(r(h_s,i), h_t,i)) over the tokens i of the batch
        h_s, h_t: hidden states after the last layers; r: a learned linear map if the widths differ
        mlm CE(x_i, W u(h_s,i) + b), averaged over hidden tokens x_i, with mlm above 0
        W: the student's embedding of tokens; u: a linear map, a GELU and a norm; b: learned

    Paper:
        Sanh, Debut, Chaumond, Wolf, DistilBERT, a distilled version of BERT: smaller, faster,
        cheaper and lighter, 2019, arXiv:1910.01108, section 3; masking after Devlin et al. 2018,
        arXiv:1810.04805, section 3.1

    Needs:
        - networks of texts with one tokenizer
        - with mlm above 0: a tokenizer with a mask token, and an embedding of the student's tokens

    Notes:
        - The paper's weights are 5 for the soft targets at temperature 2, 2 for masked language
          modeling and 1 for the cosine, on text without labels; here the labels have the weight 2.
        - With mlm above 0 both networks read texts in which 15 % of the tokens are to be guessed:
          80 % of these are hidden, 10 % replaced by random ones, 10 % left. Labels and soft targets
          are then learned from these texts.
        - The paper's students start from every second layer of the teacher: student.init=teacher.
    """

    adapter: nn.Module  # built by `bind`

    def __init__(self, mlm: NonNegativeFloat, **weights: Unpack[TermWeights]) -> None:
        super().__init__(**weights)
        self.mlm = mlm
        self.head: TokenHead | None = None

    def taps(self) -> TapRequest:
        hidden = {_HIDDEN: "stages[-1]"}
        return TapRequest(hidden | ({_TOKENS: "tokens"} if self.mlm else {}), hidden)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        teacher = require_texts("distilbert", student, teacher, data)
        self.adapter = width_adapter(student, teacher, _HIDDEN)
        if self.mlm:
            self.head = TokenHead(student, _TOKENS, width=student.shapes[_HIDDEN][2])

    def prepare(self, batch: Batch, progress: Progress) -> Batch:
        return mask_tokens(batch, self.head.encoding) if self.head is not None else batch

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        terms = super().forward(student, teacher, batch, progress)
        if self.head is not None:
            terms["mlm"] = self.mlm * self.head.loss(student, _HIDDEN, guessed_ids(batch))
        return terms

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        target = token_vectors(teacher, _HIDDEN).detach()
        adapted = to_float32(self.adapter(token_vectors(student, _HIDDEN)))
        return {"cosine": (1 - F.cosine_similarity(adapted, target)).mean()}
