"""The command in the process of the test, below a folder that a module's tests share."""

from pathlib import Path

import pytest
from tiny import Main

from kdrun import cli
from kdrun.core import atomic


@pytest.fixture
def command(root: Path, monkeypatch: pytest.MonkeyPatch) -> Main:
    """The command's status, and the folder of the run called `name`; `root` is the module's."""
    monkeypatch.chdir(root)

    def run(name: str, *words: str, fault: str = "") -> tuple[int, Path]:
        monkeypatch.setenv("KDRUN_FAULT", fault)
        monkeypatch.setattr(atomic, "_passages", type(atomic._passages)())
        monkeypatch.setattr("sys.argv", ["kdrun", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        (folder,) = root.glob(f"*/20*/*-{name}")
        return end.value.code, folder

    return run
