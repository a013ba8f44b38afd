"""The bytes of UTF-8 as tokens."""

from collections.abc import Sequence

import numpy as np

from kdrun.dataset.text.token_lists import TokenLists, offsets_of
from kdrun.dataset.text.tokenizers.own_format import NAMES, SPECIAL, to_json
from kdrun.dataset.text.tokenizers.tokenizer import Special

_FIRST = len(NAMES)  # the id of byte 0


class Bytes:
    """Numbers the bytes of a text; the vocabulary is the same for all texts."""

    special: Special = SPECIAL
    size: int = _FIRST + 256
    notes: tuple[str, ...] = ()

    def encode(self, texts: Sequence[str]) -> TokenLists:
        encoded = [text.encode() for text in texts]
        values = np.frombuffer(b"".join(encoded), np.uint8)
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        return TokenLists(values.astype(np.int32) + np.int32(_FIRST), offsets_of(lengths))

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(i - _FIRST for i in ids if i >= _FIRST).decode(errors="replace")

    def tokens(self, ids: Sequence[int]) -> list[str]:
        return [NAMES[i] if i < _FIRST else _show(i - _FIRST) for i in ids]

    def to_bytes(self) -> bytes:
        return to_json("bytes", {})


def make_bytes(texts: Sequence[str]) -> Bytes:
    """bytes: the bytes of UTF-8, 256 and the special tokens.

    Notes:
        - Any text in any language has its tokens, none is unknown, and texts are long:
          dataset.longest counts bytes.
    """
    return Bytes()


def _show(value: int) -> str:
    return chr(value) if 32 <= value < 127 else f"<{value:02x}>"
