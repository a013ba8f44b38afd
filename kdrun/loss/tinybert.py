"""TinyBERT: embeddings, hidden states and attention scores of all layers."""

from typing import Unpack

import torch.nn.functional as F
from pydantic import NonNegativeInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import DataInfo, Output, TapRequest, TapShapes
from kdrun.loss.attention_relations import common_heads, relation_scores
from kdrun.loss.functional import no_autocast, sum_terms, to_float32
from kdrun.loss.text import (
    count_taps,
    pair_layers,
    require_texts,
    token_vectors,
    uniform_layers,
    width_adapter,
)
from kdrun.loss.two_phase_loss import TwoPhaseLoss
from kdrun.loss.weighted_loss import TermWeights

_TOKENS, _LAYER, _QUERIES, _KEYS = "tokens", "layer", "queries", "keys"


class TinyBERT(TwoPhaseLoss):
    """TinyBERT: hidden states and attention of all layers.

    Formula:
        mean (E_s W_e - E_t)^2 + sum_m [mean (H_s,m W_h - H_t,g(m))^2 + mean (A_s,m - A_t,g(m))^2]
        E: embeddings of the tokens; H_m: hidden states after layer m of M
        A_m: scores q_i . k_j / sqrt(d) of all attention heads of layer m, before the softmax
        g(m) = m N / M, rounded down, a layer of the teacher's N
        W_e, W_h: learned matrices, one for all layers; the identity if the widths agree

    Paper:
        Jiao et al., TinyBERT: Distilling BERT for Natural Language Understanding, Findings of EMNLP
        2020, arXiv:1909.10351, equations 6 to 11

    Needs:
        - transformers of texts with one tokenizer and the same number of heads
        - a first phase, unless loss.first_epochs=0

    Notes:
        - The first phase trains with these terms alone, the main phase with the soft targets
          (loss.kd) at temperature 1; loss.first_epochs=0 trains with all together.
        - Scores are products alone, without the relative positions of MPNet and DeBERTa.
        - Means go over tokens, and over pairs of tokens of a text, without padding.
        - The paper's results come from twenty times as much text, by data augmentation, and from
          students that were distilled on general text before.
    """

    heads: int  # set by `bind`
    embedding_map: nn.Module  # W_e and W_h, built by `bind`
    hidden_map: nn.Module

    def __init__(self, first_epochs: NonNegativeInt, **weights: Unpack[TermWeights]) -> None:
        super().__init__(first_epochs, "auto", **weights)
        self._layers: list[int] = []  # g(m), from 0

    def taps(self) -> TapRequest:
        taps = {
            _TOKENS: "tokens",
            _LAYER: "stages[*]",
            _QUERIES: "queries[*]",
            _KEYS: "keys[*]",
        }
        return TapRequest(taps, taps)

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        teacher = require_texts("tinybert", student, teacher, data)
        students, teachers = count_taps(student, _QUERIES), count_taps(teacher, _QUERIES)
        if students > teachers:
            raise UserError(
                f"tinybert maps each layer to a deeper one, and the student has {students} layers,"
                f" the teacher {teachers}.",
                "  take a student of no more layers than the teacher",
            )
        self._layers = uniform_layers(students, teachers)
        self.tap_pairs = pair_layers(student, teacher, _LAYER, list(enumerate(self._layers)))
        self.heads = common_heads("tinybert", student, teacher, f"{_QUERIES}[0]")
        self.embedding_map = width_adapter(student, teacher, _TOKENS)
        self.hidden_map = width_adapter(student, teacher, f"{_LAYER}[0]")

    def feature_terms(self, student: Output, teacher: Output) -> dict[str, Tensor]:
        hidden = [
            _error(student, pair.student, teacher, pair.teacher, self.hidden_map)
            for pair in self.tap_pairs
        ]
        with no_autocast(student.logits):
            attention = [
                self._attention(student, teacher, *layer) for layer in enumerate(self._layers)
            ]
        return {
            "tinybert_embeddings": _error(student, _TOKENS, teacher, _TOKENS, self.embedding_map),
            "tinybert_hidden": sum_terms(hidden),
            "tinybert_attention": sum_terms(attention),
        }

    def _attention(self, student: Output, teacher: Output, layer: int, other: int) -> Tensor:
        """Return the mean squared difference of the scores of a layer and one of the teacher."""
        if student.mask is None:
            raise TypeError("the student reads no texts")
        own = relation_scores(student, f"{_QUERIES}[{layer}]", f"{_KEYS}[{layer}]", self.heads)
        target = relation_scores(teacher, f"{_QUERIES}[{other}]", f"{_KEYS}[{other}]", self.heads)
        pairs = student.mask.sum(dim=1).square().sum() * self.heads
        return (own - target.detach()).square().sum() / pairs


def _error(student: Output, tap: str, teacher: Output, other: str, adapter: nn.Module) -> Tensor:
    """Return the mean squared difference of the tokens of two taps."""
    target = token_vectors(teacher, other).detach()
    return F.mse_loss(to_float32(adapter(token_vectors(student, tap))), target)
