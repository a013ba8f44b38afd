"""What a store holds, which of it no run refers to, and the removal of that."""

import os
import re
import shutil
import stat
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kdrun.core.atomic import explain_write_errors
from kdrun.core.errors import DamagedFile, RunInUse, UserError
from kdrun.core.folder import find_runs
from kdrun.core.lock import FolderLock
from kdrun.core.reading import digest, open_record
from kdrun.core.records.artefact import ArtefactRecord
from kdrun.core.store import RECORD, STORE, read_record

State = Literal["complete", "unfinished", "damaged"]

_NAME = re.compile(r"([0-9a-f]{20})(\.damaged-[0-9]+)?")  # as `Store` names its folders


@dataclass(frozen=True)
class StoredArtefact:
    """A folder of the store.

    Attributes:
        folder: the folder.
        state: complete; unfinished, so that a run can go on with it; or damaged.
        title: the stage that made it and the name of its network, as far as they are known.
        size: the bytes of its files.
        age: seconds since its newest file was written.
        runs: the runs below the output root that refer to it.
        is_linked: whether another folder has a hard link to one of its files, as runs have.
    """

    folder: Path
    state: State
    title: str
    size: int
    age: float
    runs: tuple[Path, ...]
    is_linked: bool

    @property
    def is_used(self) -> bool:
        """Whether a run refers to it; deleting what is linked would free no space either."""
        return bool(self.runs) or self.is_linked


def stored_artefacts(root: Path) -> list[StoredArtefact]:
    """Return what the store below an output root holds, the newest first.

    Links, empty folders and what kdrun did not put there are left out.

    Raises:
        UserError: there is no store.
    """
    store = root if root.name == STORE else root / STORE
    if not store.is_dir():
        raise UserError(
            f"there is no store below {str(root)!r}.",
            "  name the output root of your runs: kdrun store list outputs",
        )
    runs = _references(store.parent)
    with os.scandir(store) as entries:
        named = [(entry, _NAME.fullmatch(entry.name)) for entry in entries]
        folders = [
            (Path(entry.path), match)
            for entry, match in named
            if match and entry.is_dir(follow_symlinks=False)
        ]
    now = time.time()
    looked_at = (_look_at(folder, match[1], bool(match[2]), runs, now) for folder, match in folders)
    return sorted(filter(None, looked_at), key=lambda artefact: artefact.age)


def _references(root: Path) -> Mapping[str, Sequence[Path]]:
    """Return fingerprint -> the runs below an output root that refer to it."""
    runs: dict[str, list[Path]] = defaultdict(list)
    for run in find_runs(root):
        try:
            stages = run.manifest().get("stages", {})
        except DamagedFile:  # such a run still has links to the files of its stages
            continue
        for identity in {entry["fingerprint"] for entry in stages.values()}:
            if identity is not None:
                runs[identity].append(run.path)
    return runs


def _look_at(
    folder: Path, identity: str, set_aside: bool, runs: Mapping[str, Sequence[Path]], now: float
) -> StoredArtefact | None:
    """Return the artefact in a folder of the store; None if there is nothing in it."""
    files = list(_files(folder))
    if not files:
        return None
    state, record = _state(folder, identity, set_aside)
    return StoredArtefact(
        folder,
        state,
        " ".join(filter(None, (record.get("stage"), record.get("model", {}).get("name")))),
        size=sum(file.st_size for file in files),
        age=max(0.0, now - max(file.st_mtime for file in files)),
        runs=() if set_aside else tuple(runs.get(identity, ())),
        is_linked=any(file.st_nlink > 1 for file in files),
    )


def _files(folder: Path) -> Iterator[os.stat_result]:
    """Yield size, time and links of each regular file but the lock."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            elif entry.name != ".lock":
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield status


def _state(folder: Path, identity: str, set_aside: bool) -> tuple[State, ArtefactRecord]:
    """Return the state of an artefact, and its record; an empty one if it can't be read."""
    try:
        record = read_record(folder)
    except DamagedFile:
        return "damaged", {}
    if set_aside or (record is not None and record.get("fingerprint") != identity):
        return "damaged", record or {}
    return ("unfinished", {}) if record is None else ("complete", record)


def changed_files(artefact: StoredArtefact) -> list[str]:
    """Return the names of files that are missing or not what their stage wrote."""
    sums = (read_record(artefact.folder) or {}).get("sums", {})
    return [name for name, value in sums.items() if not _has_sum(artefact.folder / name, value)]


def _has_sum(path: Path, value: str) -> bool:
    try:
        return digest(open_record(path)) == value
    except (OSError, DamagedFile):
        return False


def to_prune(
    artefacts: Sequence[StoredArtefact], older: float, keep: float | None
) -> list[StoredArtefact]:
    """Choose what can be deleted: the oldest of what no run refers to.

    Args:
        artefacts: what the store holds, the newest first.
        older: least age in seconds.
        keep: delete no more once the store takes at most so many bytes; None: delete all of it.
    """
    chosen, size = [], sum(artefact.size for artefact in artefacts)
    for artefact in reversed(artefacts):
        if keep is not None and size <= keep:
            break
        if not artefact.is_used and artefact.age >= older:
            chosen.append(artefact)
            size -= artefact.size
    return chosen


def prune(artefact: StoredArtefact) -> bool:
    """Delete an artefact, unless a process is making it, or a run has taken it meanwhile.

    The folder of a fingerprint stays with its lock file: a process that waits for the lock would
    otherwise hold the lock of a folder that is gone.

    Returns:
        Whether it was deleted.

    Raises:
        DiskFull: it can't be deleted.
    """
    folder = artefact.folder
    try:
        with FolderLock(folder).acquire(wait=False), explain_write_errors(folder):
            if any(file.st_nlink > 1 for file in _files(folder)):
                return False
            # Without its record an artefact is unfinished, so that no run takes a part of it.
            (folder / RECORD).unlink(missing_ok=True)
            for path in folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != ".lock":
                    path.unlink()
            if "." in folder.name:  # kept aside: no process locks it
                shutil.rmtree(folder)
    except RunInUse:
        return False
    return True
