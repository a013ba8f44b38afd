"""What all tests share: the shared data, the installed command, small runs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked import ROOT, ForkedCommand
from hypothesis import HealthCheck, settings
from tiny import TINY, Kdrun, Refused

# Workers of a parallel test run must not fight for the cores; set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test depends on the time it takes: other work may share the machine.
settings.register_profile("kdrun", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kdrun")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests marked slow are skipped unless `--slow` is given, as CI gives it."""
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow; to run it: --slow")
    for item in items:
        if item.get_closest_marker("slow") is not None:
            item.add_marker(skip)


@pytest.fixture(autouse=True, scope="session")
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what kdrun remembers of images out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder that KDRUN_DATA names; without it the test is skipped, unless it is required."""
    named = os.environ.get("KDRUN_DATA")
    if named and Path(named).is_dir():
        return Path(named)
    if os.environ.get("KDRUN_DATA_REQUIRED"):
        pytest.fail("KDRUN_DATA_REQUIRED is set, but KDRUN_DATA names no folder")
    pytest.skip("needs the shared data: set KDRUN_DATA to its folder")


@pytest.fixture(scope="session")
def forked() -> Iterator[ForkedCommand]:
    """What `kdrun` forks its processes from."""
    command = ForkedCommand()
    yield command
    command.close()


@pytest.fixture
def kdrun(forked: ForkedCommand, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Kdrun:
    """Run the command in an empty folder, in a process of its own; its status must be `status`."""
    streams = tmp_path_factory.mktemp("printed")

    def run(
        *words: str, status: int | None = 0, cwd: Path = tmp_path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return _expect(status, forked.run(words, cwd, environment, streams))

    return run


@pytest.fixture
def fresh_kdrun(tmp_path: Path) -> Kdrun:
    """The same in a fresh interpreter, for what depends on how a process starts or ends."""

    def run(
        *words: str, status: int | None = 0, cwd: Path = tmp_path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "kdrun", *words],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return _expect(status, done)

    return run


def _expect(
    status: int | None, done: subprocess.CompletedProcess[str]
) -> subprocess.CompletedProcess[str]:
    assert status is None or done.returncode == status, done.stdout + done.stderr
    return done


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused:
    """What the command says of bad input, in this process: no trace, nothing written."""
    from kdrun.cli.main import main

    monkeypatch.chdir(tmp_path)

    def run(*words: str, before: tuple[str, ...] = TINY, status: int = 2) -> str:
        found = sorted(tmp_path.rglob("*"))
        monkeypatch.setattr(sys, "argv", ["kdrun", *before, *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert ended.value.code == status, said.out + said.err
        assert said.out == ""
        assert said.err.startswith("kdrun: ")
        assert "Traceback" not in said.err
        assert sorted(tmp_path.rglob("*")) == found
        return said.err.removeprefix("kdrun: ").rstrip("\n")

    return run
