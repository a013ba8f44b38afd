"""The state of a stage in training, in files that notice damage and survive a kill.

A file is magic, SHA-256 of all that follows it, format version, state. torch.load would take
flipped bits for weights, hence the sum; the version stands under the sum, so that a file of a
newer kdrun is told from a damaged one.
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
from kdrun.engine.state_format import pack, unpack

CURRENT = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"
DAMAGED = "checkpoint.damaged.pt"

_MAGIC = b"kdrun\x00ck"
_VERSION = struct.Struct(">I")
_FORMAT = 1
_DIGEST_SIZE = 32


def save(folder: Path, state: dict[str, Any]) -> int:
    """Write the state and keep the one before it; returns bytes.

    Args:
        folder: one that exists and that this process has locked.
        state: tensors, int, float, str, bool, None, and list, tuple, dict of them.

    Raises:
        DiskFull: the disk is full or refuses; both older files stay.
        TypeError: something else is in the state.
    """
    body = [_VERSION.pack(_FORMAT), *pack(state)]
    digest = sha256()
    for part in body:
        digest.update(part)
    parts = [_MAGIC, digest.digest(), *body]
    write_bytes(folder / CURRENT, *parts, previous=folder / PREVIOUS)
    return sum(len(part) for part in parts)


def load(folder: Path, tell: Callable[[str], None]) -> dict[str, Any] | None:
    """The last state that was saved whole, with tensors on the CPU; None where none was saved.

    A damaged file is set aside, so that the next save doesn't let it take the good one's place.

    Args:
        folder: one that this process has locked.
        tell: takes a sentence where the newest file is damaged and the one before it is used.

    Raises:
        DamagedFile: there are files and none is whole.
        UserError: a newer kdrun wrote it.
    """
    complaints = []
    for path in (folder / CURRENT, folder / PREVIOUS):
        try:
            state = _read(path)
        except FileNotFoundError:
            continue
        except (DamagedFile, OSError) as error:
            complaints.append(f"{path.name}: {error}")
            continue
        if complaints:
            _set_aside(folder)
            tell(f"{complaints[0]}; going on from {PREVIOUS}")
        return state
    if complaints:
        raise DamagedFile(
            f"no checkpoint in {str(folder)!r} is whole.",
            *(f"  {complaint}" for complaint in complaints),
            f"  to train this stage anew, delete {CURRENT} and {PREVIOUS} there",
        )
    return None


def clear(folder: Path) -> None:
    """Remove the checkpoints of a stage that is done."""
    for name in (CURRENT, PREVIOUS, DAMAGED):
        (folder / name).unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        version = _verify(file)
        if version > _FORMAT:
            raise UserError(
                f"{str(path)!r} has checkpoint format {version}; this kdrun reads up to {_FORMAT}.",
                "  resume with the kdrun that wrote it, or a newer one",
            )
        return unpack(file)


def _verify(file: BufferedReader) -> int:
    """Compare the sum; leaves the file where the payload starts and returns the version."""
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
    # A disk that can't rename reports itself at the next save.
    with suppress(OSError):
        (folder / CURRENT).replace(folder / DAMAGED)
