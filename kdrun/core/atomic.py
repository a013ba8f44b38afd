"""Files that a kill can't tear: replaced as a whole, never written in place.

SIGKILL at any moment leaves the old file or the new one. Files and folders are also forced to
the disk, in the order that a power loss needs; only the kill is tested.
"""

import errno
import glob
import json
import math
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from kdrun.core.errors import DamagedFile, DiskFull

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_passages: Counter[str] = Counter()  # of this process, so that a test can name the n-th


def fault_point(point: str) -> None:
    """Where a test strikes: `KDRUN_FAULT=POINT:N[:HOW]`, at the N-th passage of the point.

    HOW is raise, enospc, or a signal to this process: kill (the default), term or int.
    """
    plan = os.environ.get("KDRUN_FAULT", "").split(":")
    if plan[0] != point:
        return
    _passages[point] += 1
    if _passages[point] == int(plan[1]):
        _strike(point, plan[2] if len(plan) > 2 else "kill")


def _strike(point: str, how: str) -> None:
    if how == "enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if how == "raise":
        raise RuntimeError(f"injected at {point}")
    os.kill(os.getpid(), signal.Signals[f"SIG{how.upper()}"])


@contextmanager
def explain_write_errors(path: Path, size: int = 0) -> Iterator[None]:
    """Put the system's refusal to write `path` (`size` bytes) into a sentence.

    Raises:
        DiskFull: for any OSError within.
    """
    try:
        yield
    except OSError as error:
        raise _refusal(path, size, error) from error


def _refusal(path: Path, size: int, error: OSError) -> DiskFull:
    if error.errno not in _NO_SPACE:
        return DiskFull(
            f"cannot write {str(path)!r}: {error.strerror or error}.",
            "  make the folder writable, or choose another output_root",
        )
    free = shutil.disk_usage(path.parent).free
    return DiskFull(
        f"disk full: need {size / 1e6:.1f} MB for {str(path)!r}, have {free / 1e6:.1f} MB.",
        "  free some space and resume: what was saved before is whole",
    )


def write_bytes(path: Path, *parts: bytes | memoryview, previous: Path | None = None) -> None:
    """Replace a file as a whole. A file has one writer at a time: callers hold a lock.

    Args:
        path: in a folder that exists.
        parts: written one after the other, never joined in memory.
        previous: where the file that stood at `path` stays on.

    Raises:
        DiskFull: the disk is full or refuses; the old file is untouched.
    """
    temporary = _temporary(path)
    with explain_write_errors(path, sum(len(part) for part in parts)):
        _remove_leftovers(path)
        fault_point("before-temp")
        try:
            with temporary.open("wb") as file:
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
    """Replace a UTF-8 text file as a whole; raises as `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file as a whole; NaN and infinities become null, as JSON has none."""
    write_text(
        path, json.dumps(replace_non_finite(value, "", []), indent=2, allow_nan=False) + "\n"
    )


def link_or_copy(source: Path, target: Path) -> None:
    """Put `source` at `target` too, whole or not at all: a hard link where the disk can, or a copy.

    Raises:
        DiskFull: no room for a copy, or the folder refuses.
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
    """The value with null for NaN and infinities; `lost` gains the dotted keys of those."""
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
    except OSError:  # other disk, no links on this one, too many of them
        with target.open("wb") as file, source.open("rb") as original:
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


def read_json(path: Path) -> dict[str, Any] | None:
    """The mapping in a file; None where there is no file.

    Raises:
        DamagedFile: it is no JSON, or holds none.
    """
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedFile(f"{str(path)!r} is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise DamagedFile(f"{str(path)!r} holds no mapping.")
    return found
