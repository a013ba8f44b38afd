"""Recurrent networks of texts."""

from collections.abc import Mapping
from typing import Unpack

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from kdrun.core.inputs.text import Encoding, tokens_of
from kdrun.core.ranges import UnitBelowOne
from kdrun.model.text.blocks import TextKeys, text_roles, token_embedding


class TextLSTM(nn.Module):
    """A bidirectional LSTM; its last states of both directions go through a layer with ReLU.

    Tang et al. 2019, arXiv:1903.12136, section 3.1: 150 units in each direction and 200 after them.

    Args:
        width: channels of a token's vector.
        hidden: units of the LSTM in each direction.
        dense: units of the layer after it.
        dropout: share of the tokens' vectors, and of that layer's outputs, that is dropped in
            training.
    """

    def __init__(
        self,
        width: PositiveInt,
        hidden: PositiveInt,
        dense: PositiveInt,
        dropout: UnitBelowOne,
        encoding: Encoding,
        num_classes: int,
        **others: Unpack[TextKeys],
    ) -> None:
        super().__init__()
        self.encoding = encoding
        self.tokens = token_embedding(encoding.size, width)
        self.tokens_dropout = nn.Dropout(dropout)
        self.lstm = BidirectionalLSTM(width, hidden)
        self.dense = nn.Linear(2 * hidden, dense)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(dense, num_classes)
        self.roles = text_roles(["lstm"])

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        ids, mask = tokens_of(inputs, self.encoding)
        states = self.lstm(self.tokens_dropout(self.tokens(ids)), mask)
        hidden = functional.relu(self.dense(last_states(states, mask)))
        return self.head(self.dropout(hidden))


class BidirectionalLSTM(nn.Module):
    """An LSTM that reads each text from the left, and one that reads it from its last token.

    Unlike torch's own bidirectional LSTM it needs no packed sequences to skip padding, so that it
    can be exported.

    Args:
        width: channels of the inputs.
        hidden: units in each direction.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.rightward = nn.LSTM(width, hidden, batch_first=True)
        self.leftward = nn.LSTM(width, hidden, batch_first=True)

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Return the states (B, T, 2 hidden) at each token; those at padding have no meaning."""
        order = _reversed_order(mask)
        rightward, _ = self.rightward(vectors)
        leftward, _ = self.leftward(_reorder(vectors, order))
        return torch.cat([rightward, _reorder(leftward, order)], -1)


def last_states(states: Tensor, mask: Tensor) -> Tensor:
    """Return the states (B, 2 hidden) after each direction's last token."""
    rightward, leftward = states.chunk(2, -1)
    last = mask.sum(1).sub(1).view(-1, 1, 1).expand(-1, 1, rightward.shape[-1])
    return torch.cat([rightward.gather(1, last).squeeze(1), leftward[:, 0]], -1)


def _reversed_order(mask: Tensor) -> Tensor:
    """Return positions (B, T): those of the tokens from last to first, then those of padding."""
    positions = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(mask, mask.sum(1, keepdim=True) - 1 - positions, positions)


def _reorder(values: Tensor, order: Tensor) -> Tensor:
    return values.gather(1, order.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
