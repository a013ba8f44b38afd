"""The interface of feeds, which serve a split's samples in batches."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

from kdrun.core.inputs.types import Inputs


@dataclass(frozen=True)
class Request:
    """A request for one batch.

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
        """The number of draws that a sample's augmentation needs; 0 without augmentation."""

    def arrange(self, order: Tensor, batch_size: int, random: torch.Generator) -> Tensor:
        """Return the positions of an epoch's shuffled order as its batches take them.

        Args:
            order: (N,) positions, shuffled.
            batch_size: samples in a batch.
            random: decides what else is random.
        """

    def fastest_order(self, batch_size: int) -> Tensor:
        """Return all positions as the batches of an evaluation take them."""

    def read(self, requests: Iterable[Request]) -> Iterator[Inputs]:
        """Yield one batch of raw samples for each request: images are (B, H, W, C) uint8."""

    def shown(self) -> dict[str, np.ndarray]:
        """Return what a report shows of all samples: `images` (N, H, W, C) or `texts` (N,)."""

    def only(self, encodings: Collection[str]) -> Self:
        """Return a feed of some of the encodings alone; images have none."""

    def to(self, device: torch.device) -> Self:
        """Return a copy with batches on another device."""

    def select(self, positions: Tensor) -> Self:
        """Return a feed of some of the samples, numbered anew."""
