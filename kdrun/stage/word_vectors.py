"""Reads word vectors: files of GloVe, and of fastText, whose first line has two counts."""

import gzip
import lzma
import math
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdrun import model
from kdrun.core.errors import UserError
from kdrun.core.home import in_home
from kdrun.core.reading import open_named

_UNPACKERS: dict[str, Callable[[BufferedReader], Any]] = {".gz": gzip.open, ".xz": lzma.open}
_DAMAGE = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)
_COUNTS = re.compile(rb"\d+ \d+\s*")  # of words and of numbers, in fastText's first line
_LONGEST = 1_000_000  # bytes of a line


@torch.no_grad()
def load_vectors(network: nn.Module, words: Sequence[str], path: str) -> list[str]:
    """Start the embedding of a network from the vectors of a file; return a sentence on it.

    Tokens without a vector keep their random numbers.

    Args:
        network: a network of texts.
        words: what each id of its tokenizer stands for.
        path: the file, which may be packed (.gz, .xz).

    Raises:
        UserError: the file can't be read, a line of it is no word with as many numbers as the
            embedding has, or no token has a vector.
    """
    embedding: Any = network.get_submodule(model.module_roles(network)["tokens"][0])
    ids = {word.encode(): number for number, word in reversed(list(enumerate(words)))}
    found = set[int]()
    for word, values in _vectors(in_home(path), embedding.embedding_dim, ids.keys()):
        if ids[word] not in found:  # the first one counts
            found.add(ids[word])
            embedding.weight[ids[word]] = torch.tensor(values)
    if not found:
        raise UserError(
            f"{path!r} has a vector for none of the {len(words):,} tokens.",
            "  take vectors of the language, and a tokenizer of words: dataset/tokenizer=words",
        )
    count = f"{len(found):,} of {len(words):,} tokens"
    return [f"started from the vectors of {path!r}, which has {count}"]


def _vectors(path: Path, width: int, words: Any) -> Iterator[tuple[bytes, list[float]]]:
    """Yield the vectors of some words."""
    for number, line in _lines(path):
        if number == 1 and _COUNTS.fullmatch(line):
            continue
        word, *values = line.strip().rsplit(b" ", width)
        if len(values) != width or (_is_number(word.rpartition(b" ")[2]) and b" " in word):
            raise UserError(
                f"{str(path)!r}, line {number}: is no word with {width} numbers.",
                f"  the embedding has {width} channels: set width to that of the file",
            )
        if word in words:
            yield word, _numbers(values, path, number)


def _numbers(values: Sequence[bytes], path: Path, number: int) -> list[float]:
    try:
        numbers = [float(value) for value in values]
        if all(map(math.isfinite, numbers)):
            return numbers
        reason = "has a value that is not finite"
    except ValueError:
        reason = "has a value that is no number"
    raise UserError(f"{str(path)!r}, line {number}: {reason}.")


def _is_number(text: bytes) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each line that is not empty.

    Raises:
        UserError: the file can't be read or unpacked, or a line is too long.
    """
    number = 0
    try:
        with open_named(path) as file:
            unpack = _UNPACKERS.get(path.suffix)
            content = unpack(file) if unpack else file
            while line := content.readline(_LONGEST):
                number += 1
                if len(line) == _LONGEST:
                    raise UserError(f"{str(path)!r}, line {number}: has more than 1 MB.")
                if line.strip():
                    yield number, line
    except _DAMAGE as error:
        raise UserError(f"{str(path)!r}, after line {number}: is damaged: {error}.") from error
    except OSError as error:
        raise UserError(f"{str(path)!r} can't be read: {error.strerror or error}.") from error
