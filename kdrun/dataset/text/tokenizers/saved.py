"""Reads the file of a tokenizer that `Tokenizer.to_bytes` gave."""

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from kdrun.core import limits
from kdrun.core.errors import DamagedFile, UserError
from kdrun.core.home import in_home
from kdrun.core.reading import open_named, read_all
from kdrun.dataset.settings import STRICT
from kdrun.dataset.text.tokenizers.byte_values import Bytes
from kdrun.dataset.text.tokenizers.folder import parse_tokenizer
from kdrun.dataset.text.tokenizers.hugging_face import KIND, prepared
from kdrun.dataset.text.tokenizers.own_format import FORMAT
from kdrun.dataset.text.tokenizers.tokenizer import Special, Tokenizer
from kdrun.dataset.text.tokenizers.vocabulary import Unit, Vocabulary


class _Entries(BaseModel):
    model_config = STRICT
    kind: Unit
    lowercase: bool
    zeros: bool
    entries: tuple[str, ...]


class _Special(BaseModel):
    model_config = STRICT
    padding: int
    unknown: int
    mask: int | None
    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]


class _Library(BaseModel):
    model_config = STRICT
    kind: str
    special: _Special
    size: int
    tokenizer: dict[str, Any]


def read_saved(texts: Sequence[str], path: str) -> Tokenizer:
    """saved: the tokenizer of a network that a run trained.

    Notes:
        - An artefact has it as `tokenizer.json`, as in `RUN/teacher/tokenizer.json`.
    """
    file = in_home(path)
    if not file.is_file():
        raise UserError(
            f"there is no file {path!r} with a tokenizer.",
            "  a run has it beside the weights: outputs/.../teacher/tokenizer.json",
        )
    return read_tokenizer(read_all(open_named(file), limits.TOKENIZER), path)


def read_tokenizer(content: bytes, name: str) -> Tokenizer:
    """Return the tokenizer in the content of a file.

    Args:
        content: the bytes of the file, read with the limit `kdrun.core.limits.TOKENIZER`.
        name: the file's name, for messages.

    Raises:
        DamagedFile: the content is not that of a tokenizer's file.
        UserError: the extra `text` is needed, or the tokenizer could do harm.
    """
    try:
        record = json.loads(content)
        if record.pop("kdrun") != "tokenizer" or record.pop("format") != FORMAT:
            raise ValueError("it is of another program or version")
        return _tokenizer(record, name)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        cause = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise DamagedFile(f"{name!r} is no tokenizer's file: {cause}.") from error


def _tokenizer(record: dict[str, Any], name: str) -> Tokenizer:
    if record["kind"] == "bytes":
        return Bytes()
    text = json.dumps(record)
    if record["kind"] != KIND:
        saved = _Entries.model_validate_json(text, strict=True)
        if len(set(saved.entries)) < len(saved.entries):
            raise ValueError("an entry stands twice")
        return Vocabulary(saved.kind, saved.entries, saved.lowercase, saved.zeros)
    library = _Library.model_validate_json(text, strict=True)
    special = Special(**library.special.model_dump())
    inner = parse_tokenizer(json.dumps(library.tokenizer), name)
    tokenizer = prepared(inner, special)
    used = [special.padding, special.unknown, *special.before, *special.between, *special.after]
    if special.mask is not None:
        used.append(special.mask)
    if tokenizer.size != library.size or not all(0 <= i < tokenizer.size for i in used):
        raise UserError(f"{name!r} has ids of special tokens beyond its vocabulary.")
    return tokenizer
