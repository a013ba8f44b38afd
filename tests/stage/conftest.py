"""Whole runs in this process."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tiny import TINY, Run

from kdrun.check.preflight import check
from kdrun.config.compose import compose_runs
from kdrun.core.screen import Screen
from kdrun.run.runner import run


@pytest.fixture
def run_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command's words in this process, into a folder that is named."""
    monkeypatch.chdir(tmp_path)

    def run_here(folder: str, *words: str, before: Sequence[str] = TINY) -> Path:
        (job,) = compose_runs([*before, *words], multirun=False)
        assert not job.faults
        run(check(job.tree), Path(folder), Screen(), "test")
        return tmp_path / folder

    return run_here
