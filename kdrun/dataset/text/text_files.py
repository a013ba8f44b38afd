"""Reads files of text: plain, .gz or .xz, in UTF-8 or another encoding."""

import codecs
import gzip
import lzma
import os
import re
import zlib
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from kdrun.core import limits
from kdrun.core.errors import UserError
from kdrun.core.reading import open_named, too_large

_UNPACKERS: dict[str, Callable[[BufferedReader], Any]] = {".gz": gzip.open, ".xz": lzma.open}
_SURROGATE = re.compile("[\ud800-\udfff]")


def _check_encoding(name: str) -> str:
    try:
        known = codecs.lookup(name)._is_text_encoding
    except (LookupError, ValueError):
        known = False
    if known:
        return name
    raise PydanticCustomError("encoding", "should be an encoding of text: utf-8, latin-1, cp1252")


TextEncoding = Annotated[str, AfterValidator(_check_encoding)]


def unpacked_name(path: Path) -> str:
    """Return the name of a file without `.gz` or `.xz`."""
    return path.stem if path.suffix.lower() in _UNPACKERS else path.name


def read_text(path: Path, encoding: str) -> str:
    r"""Return the text of a file, with `\n` as line ends and without a byte order mark.

    Raises:
        UserError: the file can't be read or unpacked, is too large, has bytes that its encoding
            does not have, or has NUL characters, as binary files do.
    """
    content = _read_bytes(path)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        hint = "dataset.encoding=latin-1, or the encoding of the file"
        if encoding.lower() not in ("utf-8", "utf8"):
            hint = "name the encoding of the file with dataset.encoding"
        raise UserError(
            f"{str(path)!r}, line {line}: the byte 0x{content[error.start]:02x} is no {encoding}.",
            f"  {hint}",
        ) from error
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(
            f"{str(path)!r}, line {line}: has a NUL character, as no text has.",
            "  if it is UTF-16, dataset.encoding=utf-16; if it is no text, take it out",
        )
    check_characters(text, str(path))
    return text


def read_lines(path: Path, encoding: str) -> list[str]:
    """Return the lines of a file; empty ones are empty texts, but not the end of the file."""
    return read_text(path, encoding).removesuffix("\n").split("\n")


def check_characters(text: str, where: str) -> None:
    """Check that a text has no half of a character, as `\\ud800` in JSON is.

    Raises:
        UserError: it has one.
    """
    if half := _SURROGATE.search(text):
        raise UserError(
            f"{where}: has half of a character, \\u{ord(half[0]):04x}.",
            "  write the whole pair, or take it out",
        )


def _read_bytes(path: Path) -> bytes:
    unpack = _UNPACKERS.get(path.suffix.lower())
    try:
        with open_named(path) as file:
            if unpack is None:
                size = os.fstat(file.fileno()).st_size
                content = file.read(limits.TEXT + 1) if size <= limits.TEXT else b""
            else:
                with unpack(file) as unpacked:
                    content = unpacked.read(limits.TEXT + 1)
                size = len(content)
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{str(path)!r} can't be unpacked: {error}.") from error
    except OSError as error:
        raise UserError(f"{str(path)!r} can't be read: {error.strerror or error}.") from error
    if max(size, len(content)) > limits.TEXT:
        raise too_large(str(path), "has", max(size, len(content)), limits.TEXT)
    return content
