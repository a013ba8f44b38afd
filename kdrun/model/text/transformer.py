"""Transformer encoders of texts."""

from collections.abc import Mapping
from typing import Literal, Unpack

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from kdrun.core.inputs.text import Encoding, tokens_of
from kdrun.core.ranges import UnitBelowOne
from kdrun.model.text.blocks import TextKeys, mean_over_tokens, text_roles

Norm = Literal["pre", "post"]

_STD = 0.02  # of starting weights: Devlin et al. 2018 (arXiv:1810.04805), as in their code


class TextTransformer(nn.Module):
    """A transformer encoder with learned positions, pooled for a classifier.

    Vaswani et al. 2017, arXiv:1706.03762; GELU and learned positions as in Devlin et al. 2018,
    arXiv:1810.04805.

    Args:
        depth: number of layers.
        width: channels of a token; a multiple of heads.
        heads: attention heads of each layer.
        hidden: units of the feed-forward part of each layer.
        norm: `pre` normalizes what enters a part of a layer, `post` the sum after it.
        pool: `mean` over the tokens, or the `first` token.
        dropout: share of activations that is dropped in training.
    """

    def __init__(
        self,
        depth: PositiveInt,
        width: PositiveInt,
        heads: PositiveInt,
        hidden: PositiveInt,
        norm: Norm,
        pool: Literal["mean", "first"],
        dropout: UnitBelowOne,
        encoding: Encoding,
        num_classes: int,
        **others: Unpack[TextKeys],
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width={width} is no multiple of heads={heads}")
        self.encoding = encoding
        self.pool = pool
        self.tokens = nn.Embedding(encoding.size, width)
        self.positions = nn.Embedding(encoding.longest, width)
        self.embedding_norm = nn.LayerNorm(width)
        self.embedding_dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, hidden, norm, dropout) for _ in range(depth)
        )
        self.final_norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, num_classes)
        self.apply(_draw_weights)
        self.roles = text_roles(
            [f"layers.{number}" for number in range(depth)],
            queries=[f"layers.{number}.attention.query" for number in range(depth)],
            keys=[f"layers.{number}.attention.key" for number in range(depth)],
            values=[f"layers.{number}.attention.value" for number in range(depth)],
        )

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        ids, mask = tokens_of(inputs, self.encoding)
        positions = self.positions(torch.arange(ids.shape[1], device=ids.device))
        states = self.embedding_dropout(self.embedding_norm(self.tokens(ids) + positions))
        for layer in self.layers:
            states = layer(states, mask)
        states = self.final_norm(states)
        pooled = states[:, 0] if self.pool == "first" else mean_over_tokens(states, mask)
        return self.head(self.dropout(pooled))


class EncoderLayer(nn.Module):
    """Attention and a feed-forward part, each added to its input; see `TextTransformer`."""

    def __init__(self, width: int, heads: int, hidden: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        self.pre = norm == "pre"
        self.attention = Attention(width, heads, dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width), nn.Dropout(dropout)
        )
        self.feed_forward_norm = nn.LayerNorm(width)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the layer's hidden states (B, T, C)."""
        if self.pre:
            states = states + self.attention(self.attention_norm(states), mask)
            return states + self.feed_forward(self.feed_forward_norm(states))
        states = self.attention_norm(states + self.attention(states, mask))
        return self.feed_forward_norm(states + self.feed_forward(states))


class Attention(nn.Module):
    """Attention of all tokens to those that are no padding.

    Attributes:
        heads: number of attention heads.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        mixed = functional.scaled_dot_product_attention(
            self._split(self.query(states)),
            self._split(self.key(states)),
            self._split(self.value(states)),
            attn_mask=mask[:, None, None, :],
            dropout_p=self.dropout.p if self.training else 0.0,
        )
        return self.dropout(self.output(mixed.transpose(1, 2).flatten(2)))

    def _split(self, states: Tensor) -> Tensor:
        """Return (B, T, C) as (B, heads, T, C / heads)."""
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _draw_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=_STD)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
