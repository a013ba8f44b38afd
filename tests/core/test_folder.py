"""The run folder and the store say what is there, whole or not at all."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdrun.core.errors import DamagedFile, RunInUse, UserError
from kdrun.core.folder import RunFolder, find_runs
from kdrun.core.lock import FolderLock
from kdrun.core.store import (
    METRICS,
    MODEL,
    RECORD,
    WEIGHTS,
    Store,
    fingerprint,
    is_complete,
    read_record,
    share_artefact,
)

IDENTITIES = st.dictionaries(
    st.text(), st.integers() | st.floats(allow_nan=False) | st.text() | st.lists(st.integers())
)


def artefact(folder: Path, identity: str) -> Path:
    """A whole artefact, as a stage leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(b"weights")
    (folder / MODEL).write_text("{}")
    (folder / METRICS).write_text('{"epoch": 1}\n')
    (folder / RECORD).write_text(json.dumps({"fingerprint": identity}))
    return folder


@given(IDENTITIES)
def test_a_fingerprint_does_not_depend_on_the_order_of_keys(identity):
    turned = dict(reversed(identity.items()))
    assert fingerprint(identity) == fingerprint(turned)


@given(IDENTITIES, IDENTITIES)
def test_different_identities_have_different_fingerprints(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (fingerprint(one) == fingerprint(other)) == same


def test_a_fingerprint_is_the_same_in_every_process_and_release():
    identity = {"stage": "train", "seed": 0, "recipe": {"lr": 0.1, "epochs": 3}}
    assert fingerprint(identity) == "6ee2486f1d86bb917b4a"


def test_a_folder_without_a_record_is_not_complete(tmp_path):
    folder = artefact(tmp_path / "a", "x")
    assert is_complete(folder, "x")
    assert not is_complete(folder, "y")
    (folder / RECORD).unlink()
    assert not is_complete(folder, "x")
    assert read_record(folder) is None


@pytest.mark.parametrize("text", ["{", "", "[]", "3", "\x00"])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(DamagedFile, match=RECORD):
        is_complete(tmp_path, "x")


def test_a_shared_artefact_is_whole_and_takes_no_second_copy(tmp_path):
    source = artefact(tmp_path / "store", "x")
    target = tmp_path / "run" / "teacher"
    share_artefact(source, target)
    assert is_complete(target, "x")
    assert {path.name for path in target.iterdir()} == {WEIGHTS, MODEL, METRICS, RECORD}
    assert (source / WEIGHTS).samefile(target / WEIGHTS)


def test_sharing_leaves_out_files_that_are_no_artefact(tmp_path):
    source = artefact(tmp_path / "store", "x")
    (source / "checkpoint.pt").write_bytes(b"state")
    share_artefact(source, tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_sharing_takes_the_place_of_an_older_artefact(tmp_path):
    target = artefact(tmp_path / "run", "old")
    share_artefact(artefact(tmp_path / "store", "new"), target)
    assert is_complete(target, "new")


def test_a_sharing_that_breaks_off_leaves_no_complete_artefact(tmp_path, monkeypatch):
    source, target = artefact(tmp_path / "store", "x"), tmp_path / "run"

    def stop_at_metrics(source: Path, target: Path) -> None:
        if source.name == METRICS:
            raise KeyboardInterrupt
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr("kdrun.core.store.link_or_copy", stop_at_metrics)
    with pytest.raises(KeyboardInterrupt):
        share_artefact(source, target)
    assert (target / WEIGHTS).exists()
    assert not is_complete(target, "x")


def test_the_store_lends_each_artefact_to_one_maker(tmp_path):
    store = Store(tmp_path / ".store")
    with store.lock("x").acquire(wait=False):
        with pytest.raises(RunInUse):
            store.lock("x").acquire(wait=False)
        with store.lock("y").acquire(wait=False):
            pass
    assert store.folder("x").is_dir()


def test_config_comes_back_as_it_was(tmp_path):
    tree = {
        "seed": 0,
        "name": None,
        "tags": ["käse", "a: b", "yes", "1e-3", "null"],
        "recipe": {"lr": 1e-05, "betas": [0.9, 0.999], "epochs": 3},
        "stop": {"when": {"reaches": 0.98}},
        "check": False,
    }
    folder = RunFolder(tmp_path)
    folder.write_config(tree)
    assert folder.config() == tree
    assert list(folder.config()) == list(tree)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "is no run folder: its config.yaml can't be read"),
        ("a: [", "is no run folder: its config.yaml can't be read"),
        ("\x00", "is no run folder: its config.yaml can't be read"),
        ("- a", "holds no config"),
        ("", "holds no config"),
    ],
)
def test_a_config_that_can_not_be_read_is_named(tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=sentence):
        RunFolder(tmp_path).config()


def test_the_manifest_keeps_its_other_fields(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.manifest() == {}
    assert not folder.is_run
    folder.update(status="running", seed=3)
    folder.update(status="finished")
    assert folder.manifest() == {"format": 1, "status": "finished", "seed": 3}
    assert folder.is_run
    assert folder.status == "finished"


def test_a_run_that_nobody_runs_any_more_has_crashed(tmp_path):
    folder = RunFolder(tmp_path)
    folder.update(status="running")
    with FolderLock(tmp_path):
        assert folder.status == "running"
    assert folder.status == "crashed"
    for status in ("failed", "interrupted"):
        folder.update(status=status)
        assert folder.status == status


def test_the_summary_carries_its_format(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.summary() is None
    written = {"split": "test", "samples": 0, "epoch": "last", "dataset": "digits", "rows": []}
    folder.write_summary(written)
    assert folder.summary() == {"format": 1, **written}


def test_metrics_are_gathered_in_the_order_of_the_stages_and_anew(tmp_path):
    folder = RunFolder(tmp_path)
    for name, line in (("teacher", "t\n"), ("student", "s\n")):
        (folder.stage(name) / METRICS).write_text(line)
    places = [folder.stage(name) for name in ("teacher", "alone", "student")]
    for _ in range(2):
        folder.gather_metrics(places)
        assert (tmp_path / METRICS).read_text() == "t\ns\n"


def test_stage_makes_its_folder(tmp_path):
    assert RunFolder(tmp_path / "run").stage("teacher").is_dir()


def test_runs_are_found_at_any_depth_in_the_order_of_their_names(tmp_path):
    for name in ("2026-01-02/b", "2026-01-02/a", "sweeps/2026-01-01/0"):
        path = tmp_path / name
        path.mkdir(parents=True)
        RunFolder(path).update(status="finished")
    found = [str(run.path.relative_to(tmp_path)) for run in find_runs(tmp_path)]
    assert found == ["2026-01-02/a", "2026-01-02/b", "sweeps/2026-01-01/0"]
    assert find_runs(tmp_path / "nothing") == []


def test_runs_are_found_in_the_order_of_their_numbers_and_never_in_the_store(tmp_path):
    for name in ("a/10", "a/2", "a/2/inner", "b", ".store/x", "c/.store/y"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").touch()
    found = [str(folder.path.relative_to(tmp_path)) for folder in find_runs(tmp_path)]
    assert found == ["a/2", "a/10", "b"]
    assert [folder.path for folder in find_runs(tmp_path / "b")] == [tmp_path / "b"]
    assert find_runs(tmp_path / "nowhere") == []


def test_what_was_chosen_of_each_group_is_known_without_a_parser(tmp_path):
    (tmp_path / ".hydra").mkdir()
    text = "hydra:\n  runtime:\n    cwd: /x\n    choices:\n      recipe: quick\n"
    text += "      recipe/schedule: cosine\n  verbose: false\n      loss: no\n"
    (tmp_path / ".hydra" / "hydra.yaml").write_text(text)
    choices = RunFolder(tmp_path).choices()
    assert choices == {"recipe": "quick", "recipe/schedule": "cosine"}
    assert RunFolder(tmp_path / "nowhere").choices() == {}


def test_the_contents_of_a_run_are_what_is_there(tmp_path):
    (tmp_path / "run.json").touch()
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "artefact.json").touch()
    (tmp_path / "empty").mkdir()
    assert RunFolder(tmp_path).contents() == {
        "manifest": tmp_path / "run.json",
        "student": tmp_path / "student",
    }
