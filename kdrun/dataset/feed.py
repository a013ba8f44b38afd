"""The contract of what serves a split's samples in batches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Request:
    """One batch to be read.

    Attributes:
        index: (B,) int64 positions in the split.
        draws: (B, columns) uniform numbers that decide the augmentation; None for none.
    """

    index: Tensor
    draws: Tensor | None


class Feed(Protocol):
    """Serves the samples of a split, batch by batch, in the order of the requests."""

    @property
    def device(self) -> torch.device:
        """The device of its batches."""

    @property
    def request_device(self) -> torch.device:
        """The device that the tensors of a request must be on."""

    @property
    def draw_columns(self) -> int:
        """Uniform numbers that augmenting one sample takes; 0 where nothing is augmented."""

    def read(self, requests: Iterable[Request]) -> Iterator[Tensor]:
        """One batch of raw samples for each request: of images (B, H, W, C) uint8."""

    def to(self, device: torch.device) -> Self:
        """The same feed with batches on another device."""

    def select(self, positions: Tensor) -> Self:
        """A feed of some of the samples, numbered anew."""
