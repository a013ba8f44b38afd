"""Whole runs in this process."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from plans import run_to
from tiny import TINY, Run


@pytest.fixture
def run_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command's words in this process, into a folder that is named."""
    monkeypatch.chdir(tmp_path)

    def run_here(folder: str, *words: str, before: Sequence[str] = TINY) -> Path:
        return run_to(tmp_path / folder, *words, base=before)

    return run_here
