"""Runs that kdrun 0.1.0 made before its rooms were built: shown, compared, reported, resumed.

`tests/fixtures/runs_of_0_1_0.tar.xz` has one run of each kind, on the digits with networks of a few
hundred weights, as commit 66dfc1c left them: finished (with sensitivity and an exported file),
compressed in three steps, with stored outputs of the teacher, with concepts, with peers; killed,
interrupted, failed, killed while pruning; a finished sweep, a sweep that was killed, a search.
`expected.json` has the SHA-256 of the weights that the unfinished ones get when nothing stops them.
"""

import json
import shutil
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from forked import ROOT, ForkedCommand
from tiny import Kdrun

from kdrun.core.folder import RunFolder

OLD = ROOT / "tests" / "fixtures" / "runs_of_0_1_0.tar.xz"
FINISHED = ("finished", "compressed", "stored", "concepts", "mutual")
UNFINISHED = ("killed", "interrupted", "failed", "pruning")
CORRECTED = ("killed",)  # by fitnet, which has been corrected since


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(OLD) as archive:
        archive.extractall(folder, filter="data")
    return folder / "outputs"


@pytest.fixture
def outputs(unpacked: Path, tmp_path: Path) -> Path:
    """The old output root, below the current folder of the command; it may be changed."""
    return shutil.copytree(unpacked, tmp_path / "outputs")


def run_of(outputs: Path, name: str) -> Path:
    (folder,) = outputs.glob(f"20*/*-{name}")
    return folder


def sweep_with(outputs: Path, job: str) -> Path:
    (folder,) = outputs.glob(f"sweeps/*/*/{job}")
    return folder.parent


def weights(run: Path) -> dict[str, str]:
    paths = sorted(run.glob("*/weights.safetensors"))
    return {path.parent.name: sha256(path.read_bytes()).hexdigest() for path in paths}


def summary(run: Path) -> dict[str, Any]:
    return json.loads((run / "summary.json").read_text())


@pytest.fixture(scope="module")
def trained_anew(
    unpacked: Path, forked: ForkedCommand, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The run called `finished`, made again by the kdrun of today."""
    config = json.loads((run_of(unpacked, "finished") / "run.json").read_text())["config"]
    words = (
        *("teacher=mlp", f"teacher.hidden={config['teacher']['hidden']}"),
        *("student=mlp", f"student.hidden={config['student']['hidden']}"),
        *(f"recipe.{key}={config['recipe'][key]}" for key in ("epochs", "batch_size", "lr")),
        *("threads=1", "device=cpu", "evaluate.latency.seconds=0.01", "name=finished"),
    )
    folder, streams = tmp_path_factory.mktemp("anew"), tmp_path_factory.mktemp("printed")
    assert forked.run(words, folder, {}, streams).returncode == 0
    return run_of(folder / "outputs", "finished")


@pytest.fixture(scope="module")
def same_arithmetic(unpacked: Path, trained_anew: Path) -> bool:
    """Whether this machine and this PyTorch round as those did that the old runs were made with."""
    return weights(trained_anew)["teacher"] == weights(run_of(unpacked, "finished"))["teacher"]


def test_fingerprints_are_what_they_were(unpacked: Path, trained_anew: Path) -> None:
    """A store of before goes on serving; PyTorch's version is in a fingerprint."""
    old, new = (
        json.loads((run / "run.json").read_text())
        for run in (run_of(unpacked, "finished"), trained_anew)
    )
    if old["environment"]["packages"]["torch"] != new["environment"]["packages"]["torch"]:
        pytest.skip("another PyTorch than the old runs were made with")
    for stage in ("teacher", "alone", "distill"):
        assert new["stages"][stage]["fingerprint"] == old["stages"][stage]["fingerprint"]


@pytest.mark.parametrize("name", FINISHED)
def test_a_finished_run_is_shown_and_reported(name: str, outputs: Path, kdrun: Kdrun) -> None:
    run = run_of(outputs, name)
    before = (run / "summary.json").read_bytes(), (run / "run.json").read_bytes()
    shown = kdrun("show", str(run), COLUMNS="200").stdout
    for row in summary(run)["rows"]:
        assert f"{100 * row['accuracy']:.2f}" in shown
    kdrun("report", str(run))
    assert f"<h1>{name}</h1>" in (run / "report.html").read_text()
    assert "is finished" in kdrun("resume", str(run)).stdout
    assert ((run / "summary.json").read_bytes(), (run / "run.json").read_bytes()) == before


@pytest.mark.parametrize("name", UNFINISHED)
def test_an_unfinished_run_ends_with_the_weights_it_would_have_had(
    name: str, outputs: Path, kdrun: Kdrun, same_arithmetic: bool
) -> None:
    """A student by a loss that has been corrected since is today's; all else is what it was."""
    run = run_of(outputs, name)
    (run / ".lock").touch()
    kdrun("resume", str(run))
    assert RunFolder(run).status == "finished"
    expected, found = json.loads((outputs / "expected.json").read_text())[name], weights(run)
    assert found.keys() == expected.keys()
    if not same_arithmetic:
        pytest.skip("this machine rounds otherwise: the run ended, its weights are not compared")
    if name in CORRECTED:
        assert found.pop("student") != expected.pop("student")
    assert found == expected


def test_old_runs_are_listed_compared_and_reported_together(outputs: Path, kdrun: Kdrun) -> None:
    listed = kdrun("list", "runs", "outputs").stdout
    for name in (*FINISHED, *UNFINISHED):
        assert f"-{name}" in listed
    sweep = sweep_with(outputs, "0-loss.temperature=1,seed=0")
    compared = json.loads(kdrun("compare", str(sweep), "--json").stdout)
    (table,) = compared["tables"]
    assert len(table["settings"]) == 2
    assert "4 runs" in kdrun("compare", str(sweep)).stdout
    assert "Table 1:" in kdrun("compare", "outputs").stdout
    kdrun("report", "outputs", "-o", "page.html")
    assert (outputs.parent / "page.html").read_text().startswith("<!doctype html>")


def test_an_old_run_made_again_has_the_same_setting(
    outputs: Path, kdrun: Kdrun, trained_anew: Path
) -> None:
    old = run_of(outputs, "finished")
    compared = json.loads(kdrun("compare", str(old), str(trained_anew), "--json").stdout)
    assert [run["path"] for run in compared["runs"]] == [str(trained_anew)]
    assert [(out["path"], out["kind"]) for out in compared["left_out"]] == [(str(old), "repeated")]


def test_an_old_sweep_that_was_killed_goes_on(outputs: Path, kdrun: Kdrun) -> None:
    sweep = sweep_with(outputs, "1-loss.alpha=0.8")
    said = kdrun("resume", str(sweep.relative_to(outputs.parent))).stdout
    assert ": 2 of 2 jobs finished" in said
    assert "is finished" in kdrun("resume", str(sweep)).stdout


def test_an_old_search_is_shown_and_has_nothing_left(outputs: Path, kdrun: Kdrun) -> None:
    sweep = sweep_with(outputs, "0-recipe.lr=*")
    assert ": 3 of 3 jobs finished" in kdrun("show", str(sweep), COLUMNS="200").stdout
    assert "is finished" in kdrun("resume", str(sweep)).stdout


def test_an_old_search_that_was_killed_goes_on_with_the_same_trial(
    outputs: Path, kdrun: Kdrun
) -> None:
    sweep = sweep_with(outputs, "0-recipe.lr=*")
    (last,) = sweep.glob("2-*")
    index = json.loads((sweep / "sweep.json").read_text())
    (sweep / "sweep.json").write_text(json.dumps({**index, "jobs": index["jobs"][:2]}))
    shutil.rmtree(last)
    assert ": 3 of 3 jobs finished" in kdrun("resume", str(sweep)).stdout
    assert RunFolder(last).status == "finished"


def test_what_an_old_run_left_serves_new_commands(outputs: Path, kdrun: Kdrun) -> None:
    run = run_of(outputs, "finished")
    assert "export: " in kdrun("export", str(run), "--to", "pt2", "--row", "alone").stdout
    kdrun("sensitivity", str(run))
    assert json.loads((run / "sensitivity.json").read_text())["losses"]
    words = ("teacher=mlp", "teacher.hidden=[12,10]", "student=mlp", "student.hidden=[4]")
    more = ("recipe.epochs=1", "evaluate.latency.seconds=0.01", "threads=1", "name=taken")
    kdrun(*words, *more, f"teacher.run={run}")
    (taken,) = outputs.glob("20*/*-taken")
    assert weights(taken)["teacher"] == weights(run)["teacher"]
