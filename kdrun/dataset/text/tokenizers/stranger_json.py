"""Checks the file `tokenizer.json` of a stranger before the package `tokenizers` reads it.

A regular expression can be written so that a short text takes hours, rules that replace text can
multiply its length, and an id far beyond the vocabulary asks for a huge embedding.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kdrun.core.errors import UserError

_MAX_GROWTH = 64  # how much longer the rules of a tokenizer may make a text
_MAX_WORD = 10_000  # characters of a word that is split: the time grows with their square
_MAX_IDS = 4_000_000  # the largest vocabularies of 2026 have 262,144

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = r"|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SMALL = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_LARGE = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_BEFORE = r"[^\r\n\p{L}\p{N}]?"

# The regular expressions that are known to end; others are refused, whatever they are.
KNOWN_PATTERNS = frozenset(
    {
        # GPT-2, RoBERTa
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        # Llama 3, and GPT-4 with (?i:...)
        rf"{_CONTRACTIONS}{_WORDS}\p{{N}}{{1,3}}{_REST}",
        # Qwen 2
        rf"{_CONTRACTIONS}{_WORDS}\p{{N}}{_REST}",
        # GPT-4o
        rf"{_BEFORE}{_LARGE}*{_SMALL}+{_CONTRACTIONS}?|{_BEFORE}{_LARGE}+{_SMALL}*{_CONTRACTIONS}?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        # pieces that each read one character or a run of one class
        r" {2,}",
        r"\s+",
        r"\s",
        r"\n",
        r"\d",
        r"\p{N}",
        r"\p{N}{1,3}",
        r"[0-9]",
        r"[^\s]+",
        r"\w+|[^\w\s]+",
        r"``|''",
    }
)


def check_tokenizer_json(text: str, name: str) -> dict[str, Any]:
    """Return the content of a tokenizer's file whose rules can do no harm.

    Args:
        text: the file's text.
        name: the file's name, for messages.

    Raises:
        UserError: it is no such file, or has an unknown regular expression, or a rule that could
            take all time or memory.
    """
    try:
        content = json.loads(text)
        nodes = list(_nodes(content))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name!r} is no JSON: {error}.") from error
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise UserError(f"{name!r} is no tokenizer of the package tokenizers: it has no model.")
    for node in nodes:
        _check_pattern(node, name)
        longest = node.get("max_input_chars_per_word", 0)
        if not isinstance(longest, int) or longest > _MAX_WORD:
            raise UserError(
                f"{name!r} splits words of up to {longest!r} characters into pieces, which can take"
                " all time.",
                f"  set max_input_chars_per_word to {_MAX_WORD} or less, as in BERT's 100",
            )
    growth = _growth(nodes)
    if growth > _MAX_GROWTH:
        raise UserError(
            f"the rules of {name!r} could make a text {growth:,.0f} times as long.",
            f"  {_MAX_GROWTH} times is the most; take the tokenizer from its author's own folder",
        )
    _check_ids(content, name)
    return content


def _check_pattern(node: Mapping[str, Any], name: str) -> None:
    """Refuse a regular expression that is not among the known ones."""
    pattern = node.get("Regex")
    if pattern is not None and pattern not in KNOWN_PATTERNS:
        raise UserError(
            f"{name!r} has the regular expression {str(pattern)[:200]!r}, which kdrun does"
            " not know.",
            "  one that somebody sent you can be written to take hours for a line: if it is known"
            " to be harmless, add it to KNOWN_PATTERNS in"
            " kdrun/dataset/text/tokenizers/stranger_json.py",
        )


def _growth(nodes: list[dict[str, Any]]) -> float:
    """Return how much longer all rules that replace or add text can make it, at most."""
    growth = 1.0
    for node in nodes:
        added = next((node[key] for key in ("content", "prepend") if key in node), None)
        if node.get("type") in ("Replace", "Prepend") and isinstance(added, str):
            replaced = node.get("pattern")
            replaced = replaced.get("String") if isinstance(replaced, dict) else None
            growth *= max(1.0, len(added) / max(1, len(replaced or "")))
    return growth


def _check_ids(content: Mapping[str, Any], name: str) -> None:
    """Refuse ids that are no numbers, or far beyond the number of tokens."""
    vocabulary = content["model"].get("vocab", ())
    ids = list(vocabulary.values()) if isinstance(vocabulary, dict) else [len(vocabulary)]
    added = content.get("added_tokens") or []
    ids += [token.get("id") if isinstance(token, dict) else token for token in added]
    bad = next((i for i in ids if type(i) is not int or not 0 <= i < _MAX_IDS), None)
    if bad is not None or not ids:
        raise UserError(
            f"{name!r} has a token with the id {bad!r}.",
            f"  ids are whole numbers from 0 to below {_MAX_IDS:,}",
        )
    if max(ids) > 2 * len(ids) + 1000:
        raise UserError(
            f"{name!r} has the id {max(ids):,}, and only {len(ids):,} tokens.",
            "  ids count from 0 without such gaps",
        )


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all mappings in a value of JSON but those of a vocabulary."""
    if isinstance(value, dict):
        yield value
        for key, inner in value.items():
            if key not in ("vocab", "merges"):
                yield from _nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner)
