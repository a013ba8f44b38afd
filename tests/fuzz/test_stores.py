"""Damaged folders of a store: their artefact is never taken for what its stage wrote."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from damage import Damage, damage_folder, damages
from fuzzer import fuzz

from kdrun.core.errors import KdrunError
from kdrun.core.records.artefact import ArtefactRecord
from kdrun.core.store import METRICS, RECORD
from kdrun.stage.artefact import is_intact, write_artefact

FINGERPRINT = "0123456789abcdef0123"


def contents(folder: Path) -> dict[str, Any]:
    """Return the content of each file, whatever its white space; None of no regular file."""
    return {path.name: content(path) for path in folder.iterdir()}


def content(path: Path) -> Any:
    if path.is_symlink() or not path.is_file():
        return None
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return path.read_bytes()


def test_a_damaged_artefact_of_a_store_is_never_used(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / METRICS).write_text('{"stage": "teacher"}\n')
    record: ArtefactRecord = {
        "fingerprint": FINGERPRINT,
        "stage": "teacher",
        "model": {"name": "mlp", "hidden": [4]},
        "data": {"classes": ["a", "b"], "channels": 1, "image_size": [8, 8], "train_size": 9},
        "validation": {"accuracy": 0.5, "nll": 1.0},
    }
    weights = {"weight": torch.ones(4, 4)}
    write_artefact(store, record, weights, best=weights)
    assert is_intact(store, FINGERPRINT)
    original = contents(store)
    numbers = itertools.count()

    def end_of(damage: Damage) -> str:
        folder = tmp_path / str(next(numbers))
        shutil.copytree(store, folder)
        path = damage_folder(folder, damage._replace(sums="kept"))
        read = content(folder / RECORD)
        if isinstance(read, dict) and "sum" not in read:
            return ""  # without a sum it is a record of kdrun 0.1.0
        try:
            used = is_intact(folder, FINGERPRINT)
        except KdrunError:
            used = False
        except Exception as error:  # noqa: BLE001 - what a fuzzer reports
            return f"{type(error).__name__}: {error}"[:200]
        differs = contents(folder) != original
        shutil.rmtree(folder)
        return f"a damaged {path.name} is used" if used and differs else ""

    count, wrong = fuzz(damages(), end_of)
    assert not wrong, f"{len(wrong)} wrong ends of {count}: {wrong}"
