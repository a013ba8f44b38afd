"""Saves the state of a training, in files that reveal damage; a killed process leaves one intact.

A file consists of a magic number, the SHA-256 digest of all that follows, the format version and
the state. Without the digest, flipped bits would be read as weights. It covers the
version too, so that a file of a newer kdrun is not mistaken for a damaged one.
"""

import struct
from collections.abc import Callable
from contextlib import suppress
from hashlib import file_digest, sha256
from io import BufferedReader
from pathlib import Path
from typing import Any

from kdrun.core.atomic import write_bytes
from kdrun.core.errors import DamagedFile, UserError
from kdrun.core.reading import open_record
from kdrun.engine.state_format import pack, unpack

CURRENT = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"
DAMAGED = "checkpoint.damaged.pt"

_MAGIC = b"kdrun\x00ck"
_VERSION = struct.Struct(">I")
_FORMAT = 1
_DIGEST_SIZE = 32


def save(folder: Path, state: dict[str, Any]) -> int:
    """Write the state, keep the previous state, and return the size in bytes.

    Args:
        folder: an existing folder that this process has locked.
        state: tensors, int, float, str, bool, None, and list, tuple, dict of them.

    Raises:
        DiskFull: the disk is full or read-only; both older files stay.
        TypeError: the state holds anything else.
    """
    payload = [_VERSION.pack(_FORMAT), *pack(state)]
    digest = sha256()
    for part in payload:
        digest.update(part)
    parts = [_MAGIC, digest.digest(), *payload]
    write_bytes(folder / CURRENT, *parts, previous=folder / PREVIOUS)
    return sum(len(part) for part in parts)


def load(folder: Path, warn: Callable[[str], None]) -> dict[str, Any] | None:
    """Return the newest intact state, with tensors on the CPU; None if nothing was saved.

    A damaged file is renamed. Otherwise the next save would keep it as the previous checkpoint,
    in place of the intact one.

    Args:
        folder: a folder that this process has locked.
        warn: called with a sentence if the newest file is damaged and the previous one is used.

    Raises:
        DamagedFile: there are checkpoints, and all are damaged.
        UserError: a newer kdrun wrote the file.
    """
    damage_reports = []
    for path in (folder / CURRENT, folder / PREVIOUS):
        try:
            state = _read(path)
        except FileNotFoundError:
            continue
        except (DamagedFile, OSError) as error:
            damage_reports.append(f"{path.name}: {error}")
            continue
        if damage_reports:
            _set_aside(folder)
            warn(f"{damage_reports[0]}; going on from {PREVIOUS}")
        return state
    if damage_reports:
        raise DamagedFile(
            f"every checkpoint in {str(folder)!r} is damaged.",
            *(f"  {damage}" for damage in damage_reports),
            f"  to train this stage anew, delete {CURRENT} and {PREVIOUS} there",
        )
    return None


def clear(folder: Path) -> None:
    """Remove the checkpoints of a finished stage."""
    for name in (CURRENT, PREVIOUS, DAMAGED):
        (folder / name).unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    with open_record(path) as file:
        version = _verify(file)
        if version > _FORMAT:
            raise UserError(
                f"{str(path)!r} has checkpoint format {version}; this kdrun reads up to {_FORMAT}.",
                "  resume with the kdrun that wrote it, or a newer one",
            )
        return unpack(file)


def _verify(file: BufferedReader) -> int:
    """Check the digest; leave the file at the start of the state, and return its version."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise DamagedFile("not a checkpoint of kdrun, or its head is damaged")
    expected = file.read(_DIGEST_SIZE)
    start = file.tell()
    if file_digest(file, "sha256").digest() != expected:
        raise DamagedFile("its bytes are not what was written")
    file.seek(start)
    (version,) = _VERSION.unpack(file.read(_VERSION.size))
    return version


def _set_aside(folder: Path) -> None:
    # A disk that fails to rename will fail the next save too, which reports it.
    with suppress(OSError):
        (folder / CURRENT).replace(folder / DAMAGED)
