"""The token ids of many texts in one array, and how pieces of them are put together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class TokenLists:
    """The token ids of N texts, one text after the other.

    Attributes:
        ids: (tokens of all texts,) int32.
        offsets: (N + 1,) int64; text n has the ids from offsets[n] up to offsets[n + 1].
    """

    ids: NDArray[np.int32]
    offsets: Integers

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]]) -> Self:
        """Join the ids of each text."""
        lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        ids = np.fromiter(chain.from_iterable(lists), np.int32, int(lengths.sum()))
        return cls(ids, offsets_of(lengths))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Integers:
        """(N,) the number of tokens of each text."""
        return np.diff(self.offsets)

    def select(self, positions: Integers) -> "TokenLists":
        """Return the texts at these positions, in this order."""
        piece = Piece(self.ids, self.offsets[positions], self.lengths[positions])
        return join([piece])


@dataclass(frozen=True)
class Piece:
    """A range of ids for each of N texts.

    Attributes:
        ids: the array that has the ranges.
        starts: (N,) where each range begins.
        lengths: (N,) how many ids it has.
    """

    ids: NDArray[np.int32]
    starts: Integers
    lengths: Integers

    @classmethod
    def constant(cls, ids: Sequence[int], count: int) -> Self:
        """Return the same ids for each of `count` texts."""
        starts = np.zeros(count, np.int64)
        return cls(np.array(ids, np.int32), starts, np.full(count, len(ids), np.int64))


def join(pieces: Sequence[Piece]) -> TokenLists:
    """Return texts that consist of one range of each piece, in this order."""
    lengths = sum((piece.lengths for piece in pieces), np.int64(0))
    offsets = offsets_of(np.asarray(lengths))
    ids = np.empty(offsets[-1], np.int32)
    begin = offsets[:-1]
    for piece in pieces:
        ids[_positions(begin, piece.lengths)] = piece.ids[_positions(piece.starts, piece.lengths)]
        begin = begin + piece.lengths
    return TokenLists(ids, offsets)


def concatenate(lists: Iterable[TokenLists]) -> TokenLists:
    """Return the texts of several objects in one."""
    lists = list(lists)
    ids = np.concatenate([texts.ids for texts in lists])
    return TokenLists(ids, offsets_of(np.concatenate([texts.lengths for texts in lists])))


def offsets_of(lengths: Integers) -> Integers:
    """Return (N + 1,) the running sum of lengths, which begins with 0."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def _positions(starts: Integers, lengths: Integers) -> Integers:
    """Return the positions of all ranges, one range after the other."""
    before = offsets_of(lengths)
    return np.arange(before[-1]) + np.repeat(starts - before[:-1], lengths)
