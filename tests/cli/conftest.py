"""The command in the process of the test."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tiny import Main, Told

from kdrun.cli import main as cli
from kdrun.core import atomic


def _status(monkeypatch: pytest.MonkeyPatch, words: Sequence[str], fault: str) -> int:
    monkeypatch.setenv("KDRUN_FAULT", fault)
    monkeypatch.setattr(atomic, "_passes", type(atomic._passes)())
    monkeypatch.setattr("sys.argv", ["kdrun", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


@pytest.fixture
def command(root: Path, monkeypatch: pytest.MonkeyPatch) -> Main:
    """The command's status, and the folder of the run called `name`; `root` is the module's."""
    monkeypatch.chdir(root)

    def run(name: str, *words: str, fault: str = "") -> tuple[int, Path]:
        status = _status(monkeypatch, words, fault)
        (folder,) = root.glob(f"*/20*/*-{name}")
        return status, folder

    return run


@pytest.fixture
def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Told:
    """The command in an empty folder: its status and all that it said."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, fault: str = "") -> tuple[int, str]:
        status = _status(monkeypatch, words, fault)
        said = capsys.readouterr()
        return status, said.out + said.err

    return run
