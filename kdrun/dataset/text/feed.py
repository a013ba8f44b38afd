"""Batches of texts, from ids in the device's memory."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from kdrun.core.inputs.text import Encoding
from kdrun.dataset.feed import Request
from kdrun.dataset.text.buckets import bucket, longest_first
from kdrun.dataset.text.texts import Texts
from kdrun.dataset.text.token_lists import TokenLists

_SHOWN = 400  # letters of a text in a report


@dataclass(frozen=True)
class EncodedSplit:
    """The texts of a split in one encoding.

    Attributes:
        encoding: the encoding.
        ids: (tokens of all texts,) int32 on the device of the batches.
        starts: (N,) int64 on that device, where each text begins.
        lengths: (N,) int64 on that device, the number of tokens of each text.
        host_lengths: the same in host memory, so that no batch waits for the device.
    """

    encoding: Encoding
    ids: Tensor
    starts: Tensor
    lengths: Tensor
    host_lengths: Tensor

    @classmethod
    def of(cls, encoding: Encoding, tokens: TokenLists) -> Self:
        lengths = torch.from_numpy(tokens.lengths)
        starts = torch.from_numpy(tokens.offsets[:-1])
        return cls(encoding, torch.from_numpy(tokens.ids), starts, lengths, lengths)

    def read(self, index: Tensor, on_device: Tensor) -> dict[str, Tensor]:
        """Return the tokens (B, T) int64 and the mask (B, T) bool of texts.

        Args:
            index: (B,) positions, in host memory.
            on_device: the same on the device of the batches.
        """
        longest = int(self.host_lengths.index_select(0, index).max())
        columns = torch.arange(longest, device=self.ids.device)
        mask = columns < self.lengths.index_select(0, on_device)[:, None]
        positions = self.starts.index_select(0, on_device)[:, None] + columns
        tokens = self.ids.take(positions.clamp_(max=len(self.ids) - 1)).long()
        names = self.encoding.keys
        return {names[0]: tokens.masked_fill_(~mask, self.encoding.padding), names[1]: mask}

    def to(self, device: torch.device) -> Self:
        moved = {name: getattr(self, name).to(device) for name in ("ids", "starts", "lengths")}
        return replace(self, **moved)

    def select(self, positions: Tensor) -> Self:
        on_device = positions.to(self.ids.device)
        return replace(
            self,
            starts=self.starts[on_device],
            lengths=self.lengths[on_device],
            host_lengths=self.host_lengths[positions],
        )


@dataclass(frozen=True)
class TextFeed:
    """All texts of a split on the device; see `Feed`.

    Attributes:
        texts: the texts themselves, which reports show.
        encodings: the same texts in the encoding of each network.
    """

    texts: Texts
    encodings: tuple[EncodedSplit, ...]

    @property
    def device(self) -> torch.device:
        return self.encodings[0].ids.device

    @property
    def request_device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def draw_columns(self) -> int:
        return 0

    @property
    def lengths(self) -> Tensor:
        """(N,) tokens of each text, in all encodings."""
        return torch.stack([split.host_lengths for split in self.encodings]).sum(0)

    def arrange(self, order: Tensor, batch_size: int, random: torch.Generator) -> Tensor:
        return bucket(order, self.lengths, batch_size, random)

    def fastest_order(self, batch_size: int) -> Tensor:
        return longest_first(self.lengths, batch_size)

    def read(self, requests: Iterable[Request]) -> Iterator[dict[str, Tensor]]:
        for request in requests:
            on_device = request.index.to(self.device)
            batch: dict[str, Tensor] = {}
            for split in self.encodings:
                batch |= split.read(request.index, on_device)
            yield batch

    def shown(self) -> dict[str, np.ndarray]:
        """Return the beginnings of the texts, without the unpaired surrogates that are no text."""
        texts = [self.texts.shown(position) for position in range(len(self.texts))]
        return {"texts": np.array([_beginning(text) for text in texts], dtype=np.str_)}

    def only(self, encodings: Collection[str]) -> Self:
        """Return a feed of some of the encodings, by whose lengths alone batches are made."""
        chosen = [split for split in self.encodings if split.encoding.name in encodings]
        return replace(self, encodings=tuple(chosen))

    def to(self, device: torch.device) -> Self:
        return replace(self, encodings=tuple(split.to(device) for split in self.encodings))

    def select(self, positions: Tensor) -> Self:
        encodings = tuple(split.select(positions) for split in self.encodings)
        return replace(self, texts=self.texts.select(positions), encodings=encodings)


def _beginning(text: str) -> str:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
    return shown.encode(errors="replace").decode()


class AsItIs:
    """Leaves the batches of a feed as they are; see `kdrun.dataset.data.Normalize`."""

    def __call__(
        self, samples: dict[str, Tensor], dtype: torch.dtype, channels_last: bool
    ) -> dict[str, Tensor]:
        return samples

    def to(self, device: torch.device) -> Self:
        return self
