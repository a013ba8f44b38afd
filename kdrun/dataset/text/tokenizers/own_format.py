"""The file of a tokenizer, and the special tokens of kdrun's own tokenizers."""

import json
from collections.abc import Mapping
from typing import Any

from kdrun.dataset.text.tokenizers.tokenizer import Special

FORMAT = 1
NAMES = ("[PAD]", "[UNK]", "[MASK]", "[SEP]")  # the ids 0 to 3
SPECIAL = Special(padding=0, unknown=1, mask=2, between=(3,))


def to_json(kind: str, content: Mapping[str, Any]) -> bytes:
    """Return the bytes of a tokenizer's file.

    Args:
        kind: how it is read; see `kdrun.dataset.text.tokenizers.saved`.
        content: the other keys.
    """
    record = {"kdrun": "tokenizer", "format": FORMAT, "kind": kind, **content}
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
