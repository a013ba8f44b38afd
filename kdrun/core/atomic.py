"""Writes files so that a killed process leaves either the old file or the new one.

A file is written under a temporary name and then renamed, never written in place. Files and
folders are also synced to the disk in an order that survives a power loss, which the tests do not
cover: they kill processes alone.
"""

import errno
import glob
import math
import os
import shutil
import signal
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

from kdrun.core.disk import nearest_existing_folder
from kdrun.core.errors import DiskFull, UserError
from kdrun.core.number_format import format_bytes
from kdrun.core.reading import open_record

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_OF_STORAGE = (*_NO_SPACE, errno.EFBIG, errno.EROFS)  # nothing but writing fails with these
_passes: Counter[str] = Counter()  # how often this process has passed each fault point


def fault_point(point: str) -> None:
    """Fail here if a test asks for it; otherwise do nothing.

    The environment variable `KDRUN_FAULT=POINT:N[:HOW]` makes it fail when it passes the point
    for the N-th time. HOW is `raise` (an error), `enospc` (the disk is full), or a signal that
    the process sends itself: `kill` (the default), `term` or `int`.
    """
    plan = os.environ.get("KDRUN_FAULT", "").split(":")
    if plan[0] != point:
        return
    _passes[point] += 1
    if _passes[point] == int(plan[1]):
        _fail(point, plan[2] if len(plan) > 2 else "kill")


def _fail(point: str, how: str) -> None:
    if how == "enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if how == "raise":
        raise RuntimeError(f"injected at {point}")
    os.kill(os.getpid(), signal.Signals[f"SIG{how.upper()}"])


@contextmanager
def explain_write_errors(path: Path, size: int = 0) -> Iterator[None]:
    """Turn an OSError of the block, which writes a file, into a message for the user.

    Args:
        path: the file that the block writes.
        size: number of bytes that the block writes, for the message that the disk is full.

    Raises:
        DiskFull: the block raised an OSError.
        UserError: `open_in_place` found a link, or no regular file.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _is_a_link(path) from error
        raise _disk_full(path, size, error) from error


@contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """Turn an OSError of the block that can only come from writing into a message for the user.

    Args:
        path: what the block writes, if the error does not name it.

    Raises:
        DiskFull: the disk is full or read-only, or a file may not be that large.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_STORAGE:
            raise
        raise _disk_full(Path(error.filename or path), 0, error) from error


def _disk_full(path: Path, size: int, error: OSError) -> DiskFull:
    if error.errno == errno.EFBIG:
        return DiskFull(
            f"cannot write {str(path)!r}: a file of this process may not be that large.",
            "  raise the limit (ulimit -f); what was saved before is complete",
        )
    if error.errno not in _NO_SPACE:
        return DiskFull(
            f"cannot write {str(path)!r}: {error.strerror or error}.",
            "  make the folder writable, or choose another output_root",
        )
    free = format_bytes(shutil.disk_usage(nearest_existing_folder(path)).free)
    need = f"need {format_bytes(size)} for" if size else "cannot write"
    return DiskFull(
        f"disk full: {need} {str(path)!r}, have {free}.",
        "  free some space; what was saved before is complete",
    )


def open_in_place(path: Path, mode: Literal["ab", "r+b", "wb"]) -> BinaryIO:
    """Open a file of a run to append to it or to cut it; a link, device or pipe is an error.

    A folder from elsewhere may have a link to any file of the user in place of its own.
    """
    return open(path, mode, opener=open_regular)


def open_regular(path: str | Path, flags: int) -> int:
    """Return a descriptor of a regular file, which is made if it is missing.

    Raises:
        UserError: it is no regular file.
        OSError: it is a link (ELOOP), or it can't be opened.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UserError(f"{str(path)!r} is no regular file, and kdrun writes nothing to it.")
    return descriptor


def refuse_link(path: Path) -> None:
    """Refuse to write to a file or folder that is a link.

    Raises:
        UserError: it is a link.
    """
    if path.is_symlink():
        raise _is_a_link(path)


def _is_a_link(path: Path) -> UserError:
    return UserError(
        f"{str(path)!r} is a symbolic link, and kdrun writes nothing through it.",
        "  put the file or folder itself in its place, or delete the link",
    )


def write_bytes(path: Path, *parts: bytes | memoryview, previous: Path | None = None) -> None:
    """Write a file, or replace it; callers hold a lock, so that a file has one writer at a time.

    Args:
        path: the file, in a folder that exists.
        parts: the content, in parts that are written one after the other, to save memory.
        previous: path under which the replaced file is kept; None: it is not kept.

    Raises:
        DiskFull: the disk is full or cannot be written; the old file is unchanged.
    """
    temporary = _temporary(path)
    with explain_write_errors(path, sum(len(part) for part in parts)):
        _remove_leftovers(path)
        fault_point("before-temp")
        try:
            with open_in_place(temporary, "wb") as file:
                _fill(file, parts)
            if previous is not None and path.exists():
                link_or_copy(path, previous)
            fault_point("before-rename")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        fault_point("after-rename")
        _sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file as `write_bytes` does."""
    write_bytes(path, text.encode())


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`, or a complete copy where the disk has no links.

    Raises:
        DiskFull: the disk has no space for a copy, or the folder cannot be written.
    """
    temporary = _temporary(target)
    with explain_write_errors(target, source.stat().st_size):
        temporary.unlink(missing_ok=True)
        try:
            _link(source, temporary)
            temporary.replace(target)
        finally:
            # Renaming one link of a file onto another link of it does nothing, by POSIX.
            temporary.unlink(missing_ok=True)


def replace_non_finite(value: Any, where: str, lost: list[str]) -> Any:
    """Return a JSON value with null in place of NaN and infinities.

    Args:
        value: numbers, texts, lists and mappings.
        where: the dotted key of the value; empty for the root.
        lost: receives the dotted keys of the numbers that became null.
    """
    if isinstance(value, float) and not math.isfinite(value):
        lost.append(where)
        return None
    if isinstance(value, Mapping):
        return {
            key: replace_non_finite(item, _join(where, key), lost) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [replace_non_finite(item, _join(where, key), lost) for key, item in enumerate(value)]
    return value


def _join(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def _fill(file: BinaryIO, parts: tuple[bytes | memoryview, ...]) -> None:
    """Write the parts and sync the file; fault points are in the middle and before the sync."""
    last = memoryview(parts[-1])
    for part in (*parts[:-1], last[: len(last) // 2]):
        file.write(part)
    file.flush()
    fault_point("half-temp")
    file.write(last[len(last) // 2 :])
    file.flush()
    fault_point("before-fsync")
    os.fsync(file.fileno())


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, a disk without hard links, or too many links
        with open_in_place(target, "wb") as file, open_record(source) as original:
            shutil.copyfileobj(original, file)
            file.flush()
            os.fsync(file.fileno())


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _remove_leftovers(path: Path) -> None:
    """Delete the temporary files of writers that were killed."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        pid = leftover.suffixes[-2][1:]
        if pid.isdigit() and not _is_alive(int(pid)):
            leftover.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
