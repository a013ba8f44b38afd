"""Opens what a command reads: regular files alone, and none that is larger than its limit.

A folder from elsewhere may have a device, a pipe or a link in place of a file. Reading a device or
a pipe may never end, and a link leads to any file of the user.
"""

import errno
import os
import stat
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path

from kdrun.core.errors import DamagedFile, TooLarge
from kdrun.core.number_format import many

_IRREGULAR = "is no regular file"


def open_record(path: Path) -> BufferedReader:
    """Open a file of a run, a sweep or the store for reading.

    Raises:
        DamagedFile: it is a link, or no regular file.
        OSError: it does not exist, or can't be opened.
    """
    try:
        return _open(path, os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ELOOP:
            text = f"{str(path)!r} is a symbolic link, and kdrun reads nothing through it."
            raise DamagedFile(text, "  put the file itself in its place") from error
        if str(error) == _IRREGULAR:
            raise DamagedFile(f"{str(path)!r} {_IRREGULAR}.") from error
        raise


def open_named(path: Path) -> BufferedReader:
    """Open a file that the user names for reading; it may be a link.

    Raises:
        OSError: it is no regular file, does not exist, or can't be opened.
    """
    return _open(path, 0)


def read_all(file: BufferedReader, limit: int) -> bytes:
    """Return the content of an open file, and close the file.

    Args:
        file: the file.
        limit: the most bytes that it may have; see `core/limits.py`.

    Raises:
        TooLarge: it has more.
    """
    with file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > limit else file.read(limit + 1)
    if max(size, len(content)) > limit:
        raise too_large(file.name, "has", max(size, len(content)), limit)
    return content


def digest(file: BufferedReader) -> str:
    """Return the SHA-256 of an open file, in hexadecimal digits, and close the file."""
    with file:
        return file_digest(file, "sha256").hexdigest()


def too_large(name: str, verb: str, size: int, limit: int) -> TooLarge:
    """Return the error for a file that is larger than its limit."""
    return TooLarge(
        f"{name!r} {verb} {many(size, 'byte')}, and kdrun reads {many(limit, 'byte')} at most."
    )


def _open(path: Path, flags: int) -> BufferedReader:
    """Open a regular file; opening a pipe or a device does not wait for its other end."""

    def opener(name: str, mode: int) -> int:
        descriptor = os.open(name, mode | flags | os.O_NONBLOCK)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise OSError(_IRREGULAR)

    return open(path, "rb", opener=opener)
