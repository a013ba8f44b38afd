"""Processes that start at once on one store make each artefact once, and all end with the same.

KDRUN_STORE_ROUNDS=50 repeats it so many times; each round takes a few seconds.
"""

import hashlib
import os
from pathlib import Path

import pytest
from plans import plan

from kdrun.core.folder import RunFolder
from kdrun.core.screen import Screen
from kdrun.core.store import WEIGHTS
from kdrun.core.store_contents import changed_files, stored_artefacts
from kdrun.run.plan import Plan
from kdrun.run.runner import run

PROCESSES = 8
ROUNDS = int(os.environ.get("KDRUN_STORE_ROUNDS", "2"))


def run_at_once(made: Plan, paths: list[Path]) -> list[int]:
    """Run a plan in each folder, in processes forked from this one; return the exit statuses."""
    gate, opener = os.pipe()
    children = []
    for path in paths:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(opener)
                os.read(gate, 1)  # all begin when this process closes its end
                run(made, path, Screen(), "test")
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    os.close(gate)
    os.close(opener)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


@pytest.mark.parametrize("number", range(ROUNDS))
def test_processes_that_start_at_once_make_each_artefact_once(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [Path("outputs", str(process)) for process in range(PROCESSES)]
    assert run_at_once(plan("recipe.epochs=1"), paths) == [0] * PROCESSES
    manifests = [RunFolder(path).manifest() for path in paths]
    assert {one["status"] for one in manifests} == {"finished"}
    for stage in ("teacher", "alone"):
        assert [one["stages"][stage]["from_store"] for one in manifests].count(False) == 1
    for stage in ("teacher", "alone", "student"):
        weights = [(path / stage / WEIGHTS).read_bytes() for path in paths]
        assert len({hashlib.sha256(one).digest() for one in weights}) == 1
    stored = stored_artefacts(Path("outputs"))
    assert [(one.state, len(one.runs)) for one in stored] == [("complete", PROCESSES)] * 2
    assert not any(changed_files(one) for one in stored)
    assert not list(tmp_path.rglob("*.tmp"))
