"""Reads files of arrays (.npz) that a run stored."""

import zlib
from pathlib import Path
from struct import error as StructError
from zipfile import BadZipFile

import numpy as np

from kdrun.core.errors import DamagedFile

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
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except _ERRORS as error:
        raise damaged_arrays(path, "can't be read") from error


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
