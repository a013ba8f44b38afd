"""Averages of word vectors."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, Unpack

from pydantic import PositiveInt
from torch import Tensor, nn

from kdrun.core.inputs.text import Encoding, tokens_of
from kdrun.core.ranges import UnitBelowOne
from kdrun.model.text.blocks import (
    TextKeys,
    mean_over_tokens,
    text_roles,
    token_embedding,
    zero_padding,
)


class TextBag(nn.Module):
    """A bag of words: the order of the tokens has no effect.

    Joulin et al. 2016, arXiv:1607.01759: a linear classifier of the mean of the words' vectors;
    with hidden layers the deep averaging network of Iyyer et al. 2015 (ACL, P15-1162).

    Args:
        width: channels of a token's vector.
        hidden: width of each hidden layer; an empty list gives a linear classifier.
        pool: `mean` or `sum` of the vectors.
        dropout: share of the pooled vector and of each hidden layer that is dropped in training.
    """

    def __init__(
        self,
        width: PositiveInt,
        hidden: list[PositiveInt],
        pool: Literal["mean", "sum"],
        dropout: UnitBelowOne,
        encoding: Encoding,
        num_classes: int,
        **others: Unpack[TextKeys],
    ) -> None:
        super().__init__()
        self.encoding = encoding
        self.pool = pool
        self.tokens = token_embedding(encoding.size, width)
        self.dropout = nn.Dropout(dropout)
        widths = [width, *hidden]
        self.layers = nn.Sequential(
            *(
                nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout))
                for before, after in pairwise(widths)
            )
        )
        self.head = nn.Linear(widths[-1], num_classes)
        self.roles = text_roles([])

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        ids, mask = tokens_of(inputs, self.encoding)
        vectors = self.tokens(ids)
        if self.pool == "mean":
            pooled = mean_over_tokens(vectors, mask)
        else:
            pooled = zero_padding(vectors, mask).sum(1)
        return self.head(self.layers(self.dropout(pooled)))
