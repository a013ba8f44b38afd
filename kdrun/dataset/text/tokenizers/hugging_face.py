"""A tokenizer of the package `tokenizers`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kdrun.dataset.text.token_lists import TokenLists
from kdrun.dataset.text.tokenizers.own_format import to_json
from kdrun.dataset.text.tokenizers.tokenizer import Special

KIND = "tokenizers"
_BLOCK = 4096  # texts that are encoded together, so that their long records are freed early


@dataclass(frozen=True)
class HuggingFace:
    """Encodes with a `tokenizers.Tokenizer`.

    Names of special tokens in a text are text: a sample can't put `[SEP]` between its words.

    Attributes:
        inner: the `tokenizers.Tokenizer`, without padding and truncation of its own.
        special: the ids of its special tokens.
        size: the number of ids.
        notes: sentences for the user.
    """

    inner: Any
    special: Special
    size: int
    notes: tuple[str, ...] = ()

    def encode(self, texts: Sequence[str]) -> TokenLists:
        lists: list[list[int]] = []
        for start in range(0, len(texts), _BLOCK):
            block = list(texts[start : start + _BLOCK])
            encoded = self.inner.encode_batch_fast(block, add_special_tokens=False)
            lists += [text.ids for text in encoded]
        return TokenLists.of(lists)

    def decode(self, ids: Sequence[int]) -> str:
        return self.inner.decode(list(ids), skip_special_tokens=True)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        return [self.inner.id_to_token(i) or f"<{i}>" for i in ids]

    def tokenizer_json(self) -> str:
        """Return the content of a file `tokenizer.json`, which transformers reads."""
        return self.inner.to_str()

    def to_bytes(self) -> bytes:
        content = {
            "special": asdict(self.special),
            "size": self.size,
            "tokenizer": json.loads(self.tokenizer_json()),
        }
        return to_json(KIND, content)


def prepared(inner: Any, special: Special, notes: tuple[str, ...] = ()) -> HuggingFace:
    """Return a tokenizer that pads and cuts nothing, and reads no special token from a text."""
    inner.no_padding()
    inner.no_truncation()
    inner.encode_special_tokens = True
    return HuggingFace(inner, special, 1 + max(_ids(inner).values()), notes)


def _ids(inner: Any) -> Mapping[str, int]:
    return inner.get_vocab(with_added_tokens=True)
