"""Convolutional networks of texts."""

from collections.abc import Mapping
from typing import Unpack

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from kdrun.core.inputs.text import Encoding, tokens_of
from kdrun.core.ranges import UnitBelowOne
from kdrun.model.text.blocks import (
    TextKeys,
    max_over_tokens,
    text_roles,
    token_embedding,
    zero_padding,
)


class TextCNN(nn.Module):
    """Convolutions over windows of tokens, each channel's maximum over the text, and a classifier.

    Kim 2014, arXiv:1408.5882. The windows at both ends of a text are filled up with zeros, so that
    a text may be shorter than a window.

    Args:
        width: channels of a token's vector.
        kernels: tokens of the windows of each convolution.
        channels: channels of each convolution.
        dropout: share of the maxima that is dropped in training.
    """

    def __init__(
        self,
        width: PositiveInt,
        kernels: list[PositiveInt],
        channels: PositiveInt,
        dropout: UnitBelowOne,
        encoding: Encoding,
        num_classes: int,
        **others: Unpack[TextKeys],
    ) -> None:
        super().__init__()
        if not kernels:
            raise ValueError("kernels is empty; name the tokens of a window, e.g. [3, 4, 5]")
        self.encoding = encoding
        self.tokens = token_embedding(encoding.size, width)
        self.maps = Convolutions(width, kernels, channels)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(len(kernels) * channels, num_classes)
        self.roles = text_roles(["maps"])

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        ids, mask = tokens_of(inputs, self.encoding)
        maps = self.maps(zero_padding(self.tokens(ids), mask))
        return self.head(self.dropout(max_over_tokens(maps, mask)))


class Convolutions(nn.Module):
    """Convolutions of several widths over the same tokens, each with ReLU.

    Args:
        width: channels of a token's vector.
        kernels: tokens of the windows of each convolution.
        channels: channels of each convolution.
    """

    def __init__(self, width: int, kernels: list[int], channels: int) -> None:
        super().__init__()
        self.kernels = kernels
        self.convolutions = nn.ModuleList(nn.Conv1d(width, channels, kernel) for kernel in kernels)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return maps (B, T, all channels) of vectors (B, T, C) that are zero at padding."""
        rows = vectors.transpose(1, 2)
        maps = [
            convolution(_fill_up(rows, kernel))
            for convolution, kernel in zip(self.convolutions, self.kernels, strict=True)
        ]
        return functional.relu(torch.cat(maps, 1)).transpose(1, 2)


def _fill_up(rows: Tensor, kernel: int) -> Tensor:
    """Add zeros at both ends of (B, C, T), so that a convolution has an output for each token."""
    return functional.pad(rows, ((kernel - 1) // 2, kernel // 2))
