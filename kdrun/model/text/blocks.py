"""What the networks of texts share: their common keys, their roles, and functions on tokens.

Shapes: B texts, T tokens with padding at the right, C channels.
"""

from typing import Any, TypedDict

from torch import Tensor, nn

_EMBEDDING_RANGE = 0.25  # the variance of word2vec's vectors: Kim 2014 (arXiv:1408.5882), 3.1


class TextKeys(TypedDict):
    """Keys of networks of texts that are read before and after the network is built.

    Attributes:
        tokenizer: config node of the network's own tokenizer; None: the dataset's.
        vectors: a file of word vectors, from which the embedding starts; None: random numbers.
    """

    tokenizer: dict[str, Any] | None
    vectors: str | None


def text_roles(stages: list[str], **projections: list[str]) -> dict[str, list[str]]:
    """Return role -> module paths of a network with the modules `tokens` and `head`.

    Args:
        stages: module paths of layers, from shallow to deep, with outputs (B, T, C).
        projections: further roles of attention layers.
    """
    embedding = {"embedding": ["head:in"], "logits": ["head"]}
    return {"tokens": ["tokens"], "stages": stages, **embedding, **projections}


def token_embedding(size: int, width: int) -> nn.Embedding:
    """Return an embedding of tokens that starts from uniform numbers."""
    embedding = nn.Embedding(size, width)
    nn.init.uniform_(embedding.weight, -_EMBEDDING_RANGE, _EMBEDDING_RANGE)
    return embedding


def zero_padding(values: Tensor, mask: Tensor) -> Tensor:
    """Return values (B, T, C) with zeros at padding."""
    return values.masked_fill(~mask.unsqueeze(-1), 0)


def mean_over_tokens(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean (B, C) of values (B, T, C) over the tokens that are no padding."""
    return zero_padding(values, mask).sum(1) / mask.sum(1, keepdim=True)


def max_over_tokens(values: Tensor, mask: Tensor) -> Tensor:
    """Return the maximum (B, C) of values (B, T, C) over the tokens that are no padding."""
    return values.masked_fill(~mask.unsqueeze(-1), float("-inf")).amax(1)
