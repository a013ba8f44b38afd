"""A disk that is full, and a file that may not grow, are sentences with status 4 everywhere."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from forked import ROOT
from plans import run_to
from tiny import TINY, Told

from kdrun.core import atomic, lock
from kdrun.core.folder import RunFolder

VERBS = {
    "export": ("export", "run", "--to", "pt2"),
    "sensitivity": ("sensitivity", "run"),
    "report": ("report", "run"),
    "compare": ("compare", "run", "run", "--csv", "table.csv"),
}
REMEDY = "free some space; what was saved before is complete"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, to be copied."""
    root = tmp_path_factory.mktemp("finished")
    return run_to(root / "run", "recipe.epochs=1", f"output_root={root}")


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_whose_files_do_not_fit(
    verb: str, run: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "_fill", full)
    status, said = told(*VERBS[verb])
    assert status == 4, said
    assert "kdrun: disk full: need " in said
    assert REMEDY in said
    assert "resume" not in said
    assert "0.0 " not in said.partition("disk full")[2]


@pytest.mark.parametrize("verb", ["export", "sensitivity"])
def test_a_verb_whose_lock_does_not_fit(
    verb: str, run: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock.os, "pwrite", full)
    status, said = told(*VERBS[verb])
    assert status == 4, said
    assert "kdrun: disk full: cannot write 'run/.lock', have " in said


def test_an_error_of_the_disk_that_nothing_else_explains(
    run: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdrun.cli.report.page_of", full)
    status, said = told("report", "run")
    assert status == 4, said
    assert "kdrun: disk full: cannot write " in said


@pytest.mark.parametrize("verb", ["export", "sensitivity"])
def test_a_limit_on_the_size_of_files(verb: str, run: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kdrun", *VERBS[verb]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert "a file of this process may not be that large" in done.stderr
    assert "ulimit -f" in done.stderr


@pytest.mark.parametrize("before", [3, 8])  # the first files of a run, and in its first stage
def test_a_run_keeps_its_first_error_where_its_record_does_not_fit_either(
    before: int, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, written = atomic._fill, []

    def fill_up(*given: Any) -> None:
        written.append(given)
        (original if len(written) <= before else full)(*given)

    monkeypatch.setattr(atomic, "_fill", fill_up)
    status, said = told(*TINY, "hydra.run.dir=run")
    assert status == 4, said
    error = said.partition("kdrun: ")[2]
    assert error.startswith("disk full: need ")
    assert "run.json" not in error.splitlines()[0]
    assert "  go on with it: kdrun resume run" in error
    assert "nor could its record be written: the run is shown as crashed" in error
    assert RunFolder(tmp_path / "run").status == "crashed"
    monkeypatch.setattr(atomic, "_fill", original)
    assert told("resume", "run")[0] == 0
    assert RunFolder(tmp_path / "run").status == "finished"


def test_a_log_that_does_not_fit_is_no_fault(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = atomic.open_regular

    def refuse_log(path: str | Path, flags: int) -> int:
        return full() if str(path).endswith("log.txt") else original(path, flags)  # type: ignore[func-returns-value]

    monkeypatch.setattr(atomic, "open_regular", refuse_log)
    status, said = told(*TINY, "hydra.run.dir=run")
    assert status == 4, said
    assert "disk full: need " in said
    assert "log.txt" in said
    assert RunFolder(tmp_path / "run").status == "failed"
