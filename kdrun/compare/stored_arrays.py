"""Reads files of arrays (.npz) that a run stored."""

import os
import zlib
from io import BufferedReader
from pathlib import Path
from struct import error as StructError
from zipfile import BadZipFile, ZipFile

import numpy as np

from kdrun.core import limits
from kdrun.core.errors import DamagedFile
from kdrun.core.reading import open_record, too_large

# What numpy and zipfile raise for damaged files; MemoryError where a header claims a huge array.
_ERRORS = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    BadZipFile,
    StructError,
    zlib.error,
)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file by name.

    Raises:
        DamagedFile: the file is missing or can't be read.
    """
    try:
        # np.load of a path would leave the file open if it can't read it.
        with open_record(path) as file:
            _refuse_large(path, file)
            with np.load(file, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
    except _ERRORS as error:
        raise damaged_arrays(path, "can't be read") from error


def _refuse_large(path: Path, file: BufferedReader) -> None:
    """Refuse a file that is larger than its limit, or unpacks into more than that."""
    size = os.fstat(file.fileno()).st_size
    if size > limits.ARRAYS:
        raise too_large(str(path), "has", size, limits.ARRAYS)
    members = ZipFile(file).infolist()
    unpacked = sum(member.file_size for member in members)  # no more is read of a member
    if unpacked > limits.ARRAYS:
        raise too_large(str(path), "unpacks into", unpacked, limits.ARRAYS)
    if len(members) > limits.MEMBERS:
        raise damaged_arrays(path, f"holds {len(members):,} arrays")
    file.seek(0)


def damaged_arrays(path: Path, reason: str) -> DamagedFile:
    """Return the error for arrays that are not what a run writes.

    Args:
        path: the file.
        reason: continues the path in the message.
    """
    return DamagedFile(
        f"{str(path)!r} {reason}.",
        "  restore the file; without it, tables and reports lack what it shows",
    )
