"""Artefacts on disk: their file names and fingerprints, and the store in which runs share them."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

from kdrun.core.atomic import explain_write_errors, link_or_copy, refuse_link
from kdrun.core.json_file import read_json
from kdrun.core.lock import FolderLock
from kdrun.core.records import FORMAT
from kdrun.core.records.artefact import ArtefactRecord
from kdrun.core.records.check import check_record
from kdrun.core.rights import make_store_folder

STORE = ".store"  # the folder of the store, below an output root
# Names of the files in an artefact's folder.
WEIGHTS = "weights.safetensors"
BEST_WEIGHTS = "best.safetensors"
MODEL = "model.json"
TOKENIZER = "tokenizer.json"  # of a network of texts
RECORD = "artefact.json"
METRICS = "metrics.jsonl"
OUTPUTS = "outputs-"  # FIELD.bin: stored outputs of a teacher
# The record is written last: an artefact with a record is complete.
_SHARED = (WEIGHTS, BEST_WEIGHTS, MODEL, TOKENIZER, METRICS, f"{OUTPUTS}*", RECORD)


def fingerprint(identity: Mapping[str, Any]) -> str:
    """Return a short hash of everything that determines an artefact."""
    text = json.dumps({"format": FORMAT, **identity}, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=10).hexdigest()


def read_record(folder: Path) -> ArtefactRecord | None:
    """Read the record of a complete artefact; return None where there is none.

    Raises:
        DamagedFile: the record is not what a stage writes.
    """
    record = read_json(folder / RECORD)
    return None if record is None else check_record(record, ArtefactRecord, folder / RECORD)


def is_complete(folder: Path, identity: str) -> bool:
    """Return whether the folder holds the complete artefact with this fingerprint."""
    record = read_record(folder)
    return record is not None and record.get("fingerprint") == identity


def share_artefact(source: Path, target: Path) -> None:
    """Link a complete artefact into another folder, or copy it where the disk has no links."""
    target.mkdir(parents=True, exist_ok=True)
    for path in _shared(source):
        link_or_copy(path, target / path.name)


def _shared(folder: Path) -> list[Path]:
    """Return the existing files of an artefact."""
    return [path for name in _SHARED for path in sorted(folder.glob(name))]


class Store:
    """Artefacts by fingerprint, which the runs below the same output root share."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, identity: str) -> Path:
        return self.root / identity

    def lock(self, identity: str) -> FolderLock:
        """Return the lock that a process needs to make this artefact; create the folder.

        Raises:
            UserError: the folder is a link.
        """
        refuse_link(self.folder(identity))
        make_store_folder(self.folder(identity))
        return FolderLock(self.folder(identity))

    def set_aside(self, identity: str) -> Path | None:
        """Move a damaged artefact to another folder; return that folder, None if there is nothing.

        The caller holds the lock, whose file stays. The record is moved last: as long as it is in
        place, a run finds the artefact damaged again, so an interrupted move is completed later.
        """
        folder = self.folder(identity)
        if not (folder / RECORD).exists():
            return None
        paths = (folder.with_name(f"{folder.name}.damaged-{number}") for number in count(1))
        aside = next(path for path in paths if not path.exists())
        with explain_write_errors(aside):
            aside.mkdir()
            for path in _shared(folder):
                path.replace(aside / path.name)
        return aside
