"""The interface of tokenizers."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from kdrun.dataset.text.token_lists import TokenLists


@dataclass(frozen=True)
class Special:
    """The ids of tokens that are no text.

    Attributes:
        padding: fills up shorter texts.
        unknown: stands for what the vocabulary does not have, and for an empty text.
        mask: stands for a hidden token; None if there is none.
        before: stand before each text.
        between: stand between the two texts of a pair.
        after: stand after each text.
    """

    padding: int
    unknown: int
    mask: int | None
    before: tuple[int, ...] = ()
    between: tuple[int, ...] = ()
    after: tuple[int, ...] = ()


class Tokenizer(Protocol):
    """Splits texts into tokens, and numbers them."""

    @property
    def special(self) -> Special:
        """The ids of tokens that are no text."""

    @property
    def size(self) -> int:
        """The number of ids, those of special tokens included."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user about how the tokenizer was read."""

    def encode(self, texts: Sequence[str]) -> TokenLists:
        """Return the ids of each text, without the tokens before, between and after texts."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; special tokens are left out."""

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Return what each id stands for."""

    def to_bytes(self) -> bytes:
        """Return the content of a file that `kdrun.dataset.text.tokenizers.saved` reads."""


def content_digest(tokenizer: Tokenizer) -> str:
    """Return a hash of a tokenizer: two with the same hash encode each text alike."""
    return blake2b(tokenizer.to_bytes(), digest_size=20).hexdigest()
