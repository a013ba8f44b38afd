"""What all tests share: the shared data, the installed command, small runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import TINY, Kdrun, Refused

# Workers of a parallel test run must not fight for the cores; set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder that KDRUN_DATA names; without it the test is skipped, unless it is required."""
    named = os.environ.get("KDRUN_DATA")
    if named and Path(named).is_dir():
        return Path(named)
    if os.environ.get("KDRUN_DATA_REQUIRED"):
        pytest.fail("KDRUN_DATA_REQUIRED is set, but KDRUN_DATA names no folder")
    pytest.skip("needs the shared data: set KDRUN_DATA to its folder")


@pytest.fixture
def kdrun(tmp_path: Path) -> Kdrun:
    """Run the command in an empty folder, in a process of its own."""

    def run(
        *words: str, status: int | None = 0, cwd: Path = tmp_path, **environment: str
    ) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "kdrun", *words],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if status is not None:
            assert done.returncode == status, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused:
    """What the command says of bad input, in this process: status 2, no trace, nothing written."""
    from kdrun.cli.main import main

    monkeypatch.chdir(tmp_path)

    def run(*words: str, before: tuple[str, ...] = TINY) -> str:
        found = sorted(tmp_path.rglob("*"))
        monkeypatch.setattr(sys, "argv", ["kdrun", *before, *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert ended.value.code == 2, said.out + said.err
        assert said.out == ""
        assert said.err.startswith("kdrun: ")
        assert "Traceback" not in said.err
        assert sorted(tmp_path.rglob("*")) == found
        return said.err.removeprefix("kdrun: ").rstrip("\n")

    return run
