"""Words or characters as tokens, numbered by how often training texts have them."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pydantic import PositiveInt

from kdrun.dataset.text.token_lists import TokenLists
from kdrun.dataset.text.tokenizers.own_format import NAMES, SPECIAL, to_json
from kdrun.dataset.text.tokenizers.tokenizer import Special

# Chinese and Japanese write no spaces, so each of their characters is a word.
_SINGLE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Letters and digits, and signs of scripts whose vowels are marks on a letter.
_MARKS = (
    "\u0300-\u036f\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f"
)
_LETTER = f"(?:[^\\W{_SINGLE}]|[{_MARKS}])"
# As in the Penn Treebank, `don't` is `do n't`, and `it's` is `it 's`.
WORD = re.compile(f"n't|'{_LETTER}+|{_LETTER}+?(?=n't)|{_LETTER}+|[{_SINGLE}]|[^\\w\\s]")
_DIGIT = re.compile(r"\d")

Unit = Literal["words", "chars"]


@dataclass(frozen=True)
class Vocabulary:
    """Numbers words or characters; those that it does not have are unknown.

    Attributes:
        unit: what a token is.
        entries: the words or characters, whose ids follow those of the special tokens.
        lowercase: whether capital letters become small ones.
        zeros: whether each digit becomes 0.
    """

    unit: Unit
    entries: tuple[str, ...]
    lowercase: bool
    zeros: bool

    @property
    def special(self) -> Special:
        return SPECIAL

    @property
    def size(self) -> int:
        return len(NAMES) + len(self.entries)

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    @cached_property
    def ids(self) -> dict[str, int]:
        """Each entry -> its id."""
        return {entry: number for number, entry in enumerate(self.entries, len(NAMES))}

    def encode(self, texts: Sequence[str]) -> TokenLists:
        get, split = self.ids.get, _splitter(self.unit, self.lowercase, self.zeros)
        unknown = SPECIAL.unknown
        return TokenLists.of([[get(token, unknown) for token in split(text)] for text in texts])

    def decode(self, ids: Sequence[int]) -> str:
        known = (self.entries[i - len(NAMES)] for i in ids if i >= len(NAMES))
        return (" " if self.unit == "words" else "").join(known)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        return [NAMES[i] if i < len(NAMES) else self.entries[i - len(NAMES)] for i in ids]

    def to_bytes(self) -> bytes:
        content = {"lowercase": self.lowercase, "zeros": self.zeros, "entries": self.entries}
        return to_json(self.unit, content)


def count_words(
    texts: Sequence[str],
    lowercase: bool,
    zeros: bool,
    min_count: PositiveInt,
    size: PositiveInt | None,
) -> Vocabulary:
    """words: words and punctuation marks, as often as the training split has them.

    Notes:
        - A word is a run of letters and digits. Don't is do n't and it's is it 's, as in the Penn
          Treebank and in files of word vectors; Chinese and Japanese characters are words.
        - Words of other splits that the training split does not have are unknown: one token.
    """
    entries = _most_frequent(texts, "words", lowercase, zeros, min_count, size)
    return Vocabulary("words", entries, lowercase, zeros)


def count_characters(
    texts: Sequence[str], lowercase: bool, min_count: PositiveInt, size: PositiveInt | None
) -> Vocabulary:
    """chars: characters (code points of Unicode) that the training split has.

    Notes:
        - Texts are long: dataset.longest counts characters.
    """
    entries = _most_frequent(texts, "chars", lowercase, False, min_count, size)
    return Vocabulary("chars", entries, lowercase, zeros=False)


def _most_frequent(
    texts: Iterable[str],
    unit: Unit,
    lowercase: bool,
    zeros: bool,
    min_count: int,
    size: int | None,
) -> tuple[str, ...]:
    """Return the entries of a vocabulary, the most frequent first; of equal ones by code points.

    Args:
        min_count: how often the texts must have an entry.
        size: the most ids, those of special tokens included; None: no limit.
    """
    split = _splitter(unit, lowercase, zeros)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split(text))
    frequent = [entry for entry, count in counts.items() if count >= min_count]
    frequent.sort(key=lambda entry: (-counts[entry], entry))
    return tuple(frequent if size is None else frequent[: max(0, size - len(NAMES))])


def _splitter(unit: Unit, lowercase: bool, zeros: bool) -> Callable[[str], Sequence[str]]:
    """Return the function that splits a text into words or characters."""
    find = WORD.findall if unit == "words" else list

    def split(text: str) -> Sequence[str]:
        text = text.lower() if lowercase else text
        text = _DIGIT.sub("0", text) if zeros else text
        return find(text.replace("\u2019", "'") if unit == "words" else text)

    return split
