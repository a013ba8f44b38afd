"""Encodes the texts of a split by a tokenizer, once for all epochs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdrun.dataset.text.settings import Cut
from kdrun.dataset.text.texts import MASK, Texts
from kdrun.dataset.text.token_lists import Integers, Piece, TokenLists, join
from kdrun.dataset.text.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class Encoded:
    """The texts of a split in one encoding.

    Attributes:
        tokens: the ids of each text, at least one.
        cut: (N,) bool, which texts were longer.
        empty: (N,) bool, which texts have no token but the unknown one.
    """

    tokens: TokenLists
    cut: np.ndarray
    empty: np.ndarray


def encode(tokenizer: Tokenizer, texts: Texts, longest: int, cut: Cut, masked: int = 0) -> Encoded:
    """Encode texts, with the tokens before, between and after them.

    Of a pair that is too long, the longer text is cut first.

    Args:
        tokenizer: the tokenizer.
        texts: the texts, or pairs of texts.
        longest: the most tokens of a sample, special ones included.
        cut: which tokens of a longer text are kept: the first, the last, or half of both.
        masked: how many of the last texts are augmented, and may have the character `MASK`.
    """
    special = tokenizer.special
    count = len(texts)
    parts = [_encode(tokenizer, texts.first, masked)]
    if texts.second is not None:
        parts.append(_encode(tokenizer, texts.second, masked))
    around = len(special.before) + len(special.after)
    room = max(1, longest - around - (len(special.between) if len(parts) > 1 else 0))
    kept = _share_room([part.lengths for part in parts], room)
    total = np.sum([part.lengths for part in parts], axis=0)
    empty = total == 0
    pieces = [Piece.constant(special.before, count)]
    for number, (part, lengths) in enumerate(zip(parts, kept, strict=True)):
        if number:
            pieces.append(Piece.constant(special.between, count))
        pieces += _cut(part, lengths, cut)
    unknown = Piece(np.array([special.unknown], np.int32), np.zeros(count, np.int64), empty * 1)
    pieces += [unknown, Piece.constant(special.after, count)]
    return Encoded(join(pieces), total > np.sum(kept, axis=0), empty)


def _encode(tokenizer: Tokenizer, texts: Sequence[str], masked: int) -> TokenLists:
    """Return the ids of texts; the last `masked` of them may have masked words."""
    plain = len(texts) - masked
    tokens = tokenizer.encode(texts[:plain])
    if not masked:
        return tokens
    split = [text.split(MASK) for text in texts[plain:]]
    counts = [len(fragments) for fragments in split]
    fragments = tokenizer.encode([fragment for text in split for fragment in text])
    mask = tokenizer.special.unknown if tokenizer.special.mask is None else tokenizer.special.mask
    return _join_fragments(tokens, fragments, counts, mask)


def _join_fragments(
    plain: TokenLists, fragments: TokenLists, counts: Sequence[int], mask: int
) -> TokenLists:
    """Return the plain texts, and texts that consist of fragments with a mask between two."""
    last = np.cumsum(counts) - 1
    masks = np.ones(len(fragments), np.int64)
    masks[last] = 0
    starts = np.zeros(len(fragments), np.int64)
    tokens = Piece(fragments.ids, fragments.offsets[:-1], fragments.lengths)
    joined = join([tokens, Piece(np.array([mask], np.int32), starts, masks)])
    ends = joined.offsets[1:][last] + plain.offsets[-1]
    ids = np.concatenate([plain.ids, joined.ids])
    return TokenLists(ids, np.concatenate([plain.offsets, ends]))


def _share_room(lengths: Sequence[Integers], room: int) -> list[Integers]:
    """Return how many tokens of each text of a sample are kept."""
    if len(lengths) == 1:
        return [np.minimum(lengths[0], room)]
    first, second = lengths
    first = np.minimum(first, np.maximum(room - second, (room + 1) // 2))
    return [first, np.minimum(second, room - first)]


def _cut(tokens: TokenLists, kept: Integers, cut: Cut) -> list[Piece]:
    """Return the tokens that are kept of each text: some at its start, and some at its end."""
    head = {"head": kept, "tail": np.zeros_like(kept), "both": (kept + 1) // 2}[cut]
    head = np.where(kept == tokens.lengths, kept, head)
    tail = kept - head
    return [
        Piece(tokens.ids, tokens.offsets[:-1], head),
        Piece(tokens.ids, tokens.offsets[1:] - tail, tail),
    ]
