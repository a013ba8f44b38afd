"""Saves the state of a training, in files that reveal damage; a killed process leaves one intact.

A file consists of a magic number, the SHA-256 digest of all that follows, the format version and
the state. Without the digest, flipped bits would be read as weights. It covers the
version too, so that a file of a newer kdrun is not mistaken for a damaged one.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import file_digest, sha256
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch

from kdrun.core.atomic import write_bytes
from kdrun.core.errors import DamagedFile, UserError, first_line
from kdrun.core.reading import open_record
from kdrun.engine.state_format import pack, unpack

CURRENT = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"
DAMAGED = "checkpoint.damaged.pt"
OTHER = "checkpoint.other.pt"  # of another training: of other settings or data

_OTHER_STATE = (LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError)
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


def load(folder: Path, warn: Callable[[str], None], training: str = "") -> dict[str, Any] | None:
    """Return the newest state of a training that can be used, with tensors on the CPU.

    A newest file that can't be used is renamed. Otherwise the next save would keep it as the
    previous checkpoint, in place of the usable one. A state of another training is used again as
    soon as its settings and data are back.

    Args:
        folder: a folder that this process has locked.
        warn: called with a sentence if the newest file can't be used.
        training: the fingerprint of the training, which a state has under the key `training`. A
            state without it, of an older kdrun, is used for any.

    Returns:
        The state; None if nothing was saved, or only states of other trainings.

    Raises:
        DamagedFile: there are checkpoints, none can be used, and some are damaged.
        UserError: a newer kdrun wrote the file.
    """
    unusable: dict[str, Exception] = {}
    for name in (CURRENT, PREVIOUS, OTHER):
        try:
            state = _read(folder / name, training)
        except FileNotFoundError:
            continue
        except (DamagedFile, _OtherTraining, OSError) as error:
            unusable[name] = error
            continue
        if unusable:
            _set_aside(folder, unusable, name)
            warn(f"{_reasons(unusable)[0]}; going on from {name}")
        return state
    if any(not isinstance(error, _OtherTraining) for error in unusable.values()):
        raise DamagedFile(
            f"no checkpoint in {str(folder)!r} can be used.",
            *(f"  {reason}" for reason in _reasons(unusable)),
            _remedy(unusable),
        )
    if unusable:
        _set_aside(folder, unusable, used="")
        warn(f"{_reasons(unusable)[0]}; it is kept as {OTHER}, and the stage begins anew")
    return None


def clear(folder: Path) -> None:
    """Remove the checkpoints of a finished stage."""
    for name in (CURRENT, PREVIOUS, DAMAGED, OTHER):
        (folder / name).unlink(missing_ok=True)


@contextmanager
def explain_other_state(folder: Path) -> Iterator[None]:
    """Name the checkpoint if a block that continues with its state can't.

    Raises:
        DamagedFile: the state lacks keys, or its values have other types or shapes.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except _OTHER_STATE as error:
        raise DamagedFile(
            f"the checkpoint in {str(folder)!r} is no state of this training: {first_line(error)}.",
            _remedy(name for name in (CURRENT, PREVIOUS) if (folder / name).exists()),
        ) from error


def _remedy(names: Iterable[str]) -> str:
    return f"  to train this stage anew, delete {' and '.join(names)} there, then resume the run"


class _OtherTraining(Exception):
    """A state has the fingerprint of another training."""


def _read(path: Path, training: str) -> dict[str, Any]:
    with open_record(path) as file:
        version = _verify(file)
        if version > _FORMAT:
            raise UserError(
                f"{str(path)!r} has checkpoint format {version}; this kdrun reads up to {_FORMAT}.",
                "  resume with the kdrun that wrote it, or a newer one",
            )
        state = unpack(file)
    if not isinstance(state, dict):
        raise DamagedFile("its content is no state of a training")
    if state.get("training", training) != training:
        raise _OtherTraining("it is of another training: of other settings, data, code or teachers")
    return state


def _verify(file: BufferedReader) -> int:
    """Check the digest; leave the file at the start of the state, and return its version."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise DamagedFile("not a checkpoint of kdrun, or its head is damaged")
    expected = file.read(_DIGEST_SIZE)
    start = file.tell()
    if file_digest(file, "sha256").digest() != expected:
        raise DamagedFile("its bytes are not what was written")
    file.seek(start)
    version = file.read(_VERSION.size)
    if len(version) < _VERSION.size:
        raise DamagedFile("it ends after its head")
    return int(_VERSION.unpack(version)[0])


def _reasons(unusable: dict[str, Exception]) -> list[str]:
    return [f"{name}: {error}" for name, error in unusable.items()]


def _set_aside(folder: Path, unusable: dict[str, Exception], used: str) -> None:
    """Rename the newest file if it can't be used; `used` is the name of the one that is."""
    # A disk that fails to rename will fail the next save too, which reports it.
    with suppress(OSError):
        if used == OTHER:
            (folder / OTHER).replace(folder / PREVIOUS)
        if CURRENT in unusable:
            is_other = isinstance(unusable[CURRENT], _OtherTraining)
            (folder / CURRENT).replace(folder / (OTHER if is_other else DAMAGED))
