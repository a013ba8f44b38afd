"""What `kdrun store` finds in a store, and what it deletes."""

import json
import os
import time
from hashlib import sha256
from pathlib import Path

import pytest

from benchmarks.synthetic_runs import write_run
from kdrun.core.errors import UserError
from kdrun.core.lock import FolderLock
from kdrun.core.store_contents import (
    StoredArtefact,
    changed_files,
    prune,
    stored_artefacts,
    to_prune,
)

DAY = 86_400


def add(root: Path, digit: str, size: int = 1000, days: float = 0) -> Path:
    """Write a complete artefact whose fingerprint repeats a digit; its record has 200 bytes."""
    folder = root / ".store" / (digit * 20)
    folder.mkdir(parents=True)
    (folder / ".lock").touch()
    weights = bytes(size)
    (folder / "weights.safetensors").write_bytes(weights)
    record = {
        "fingerprint": folder.name,
        "stage": "teacher",
        "model": {"name": "mlp"},
        "sums": {"weights.safetensors": sha256(weights).hexdigest()},
    }
    (folder / "artefact.json").write_text(json.dumps(record).ljust(200))
    for path in folder.iterdir():
        os.utime(path, 2 * (time.time() - days * DAY,))
    return folder


def refer(root: Path, *digits: str) -> Path:
    stages = {
        digit: {"fingerprint": digit * 20, "seconds": 1.0, "from_store": True} for digit in digits
    }
    return write_run(root / "run", manifest={"stages": stages})


def digits(found: list[StoredArtefact]) -> str:
    return "".join(one.folder.name[0] for one in found)


def test_artefacts_are_found_with_their_size_age_and_runs(tmp_path: Path) -> None:
    add(tmp_path, "a", size=5000, days=3)
    add(tmp_path, "b", days=1)
    run = refer(tmp_path, "a")
    new, old = stored_artefacts(tmp_path)
    assert (new.title, new.state, new.size, new.runs) == ("teacher mlp", "complete", 1200, ())
    assert (old.size, old.runs, old.is_used, new.is_used) == (5200, (run,), True, False)
    assert old.age == pytest.approx(3 * DAY, abs=60)
    assert stored_artefacts(tmp_path / ".store")[1].runs == (run,)


def test_what_is_no_artefact_is_left_out(tmp_path: Path) -> None:
    elsewhere = add(tmp_path / "other", "a")
    store = tmp_path / ".store"
    (store / ("b" * 20)).mkdir(parents=True)
    (store / ("b" * 20) / ".lock").touch()  # a process began to make it, or it was deleted
    (store / "notes").mkdir()
    (store / "notes" / "x").write_text("mine")
    (store / ("a" * 20)).symlink_to(elsewhere)
    assert stored_artefacts(tmp_path) == []


def test_a_root_without_a_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no store below"):
        stored_artefacts(tmp_path)


def test_states(tmp_path: Path) -> None:
    (add(tmp_path, "1") / "artefact.json").unlink()
    aside = add(tmp_path, "2")
    aside.rename(aside.with_name(f"{aside.name}.damaged-1"))
    (add(tmp_path, "3") / "artefact.json").write_text("{")
    (add(tmp_path, "4") / "artefact.json").write_text('{"fingerprint": "5"}')
    states = {one.folder.name[0]: one.state for one in stored_artefacts(tmp_path)}
    assert states == {"1": "unfinished", "2": "damaged", "3": "damaged", "4": "damaged"}


def test_a_changed_a_missing_and_a_linked_file_are_named(tmp_path: Path) -> None:
    for digit in "abcd":
        add(tmp_path, digit)
    folders = [tmp_path / ".store" / (digit * 20) / "weights.safetensors" for digit in "abcd"]
    folders[1].write_bytes(b"other")
    folders[2].unlink()
    folders[3].unlink()
    folders[3].symlink_to(folders[0])
    changed = {one.folder.name[0]: changed_files(one) for one in stored_artefacts(tmp_path)}
    assert changed == {"a": [], **{key: ["weights.safetensors"] for key in "bcd"}}


def test_the_oldest_of_what_no_run_uses_is_chosen(tmp_path: Path) -> None:
    for digit, days in zip("12345", (50, 40, 35, 10, 1), strict=True):
        add(tmp_path, digit, days=days)
    refer(tmp_path, "1")
    weights = tmp_path / ".store" / ("2" * 20) / "weights.safetensors"
    os.link(weights, tmp_path / "linked")
    found = stored_artefacts(tmp_path)
    assert digits(to_prune(found, 0, None)) == "345"
    assert digits(to_prune(found, 30 * DAY, None)) == "3"
    assert digits(to_prune(found, 0, 6000)) == ""  # it takes 6000
    assert digits(to_prune(found, 0, 5999)) == "3"
    assert digits(to_prune(found, 0, 4000)) == "34"
    assert digits(to_prune(found, 5 * DAY, 0)) == "34"


def test_pruning_leaves_the_lock_and_follows_no_link(tmp_path: Path) -> None:
    folder = add(tmp_path, "a")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (folder / "link").symlink_to(tmp_path / "precious")
    (folder / "inside").mkdir()
    (folder / "inside" / "file").touch()
    (one,) = stored_artefacts(tmp_path)
    assert prune(one)
    assert [path.name for path in folder.iterdir()] == [".lock"]
    assert (tmp_path / "precious" / "file").exists()
    assert stored_artefacts(tmp_path) == []


def test_what_was_kept_aside_goes_with_its_folder(tmp_path: Path) -> None:
    folder = add(tmp_path, "a")
    folder.rename(folder.with_name(f"{folder.name}.damaged-1"))
    (one,) = stored_artefacts(tmp_path)
    assert prune(one)
    assert list((tmp_path / ".store").iterdir()) == []


def test_what_a_process_makes_or_a_run_has_taken_meanwhile_stays(tmp_path: Path) -> None:
    made, taken = add(tmp_path, "a"), add(tmp_path, "b")
    found = {one.folder: one for one in stored_artefacts(tmp_path)}
    os.link(taken / "weights.safetensors", tmp_path / "linked")
    with FolderLock(made):
        assert not prune(found[made])
    assert not prune(found[taken])
    assert (made / "artefact.json").exists()
    assert (taken / "artefact.json").exists()
