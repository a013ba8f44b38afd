"""What a launcher does when it is asked to stop, and what it tells its jobs."""

import gc
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from omegaconf import DictConfig

from kdrun.config.command import read_command
from kdrun.core.sweep import SweepFolder, SweepJob
from kdrun.sweep import hydra_launcher
from kdrun.sweep.hydra_launcher import exit_on_signals, open_launcher


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_launcher_and_its_old_meaning_comes_back(
    number: signal.Signals, status: int
) -> None:
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as end, exit_on_signals():
        os.kill(os.getpid(), number)
    assert end.value.code == status
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(
    ("before", "parallel", "expected"),
    [(None, 3, "8"), ("5", 3, "5"), (None, 1, None)],  # the last: perhaps on other machines
)
def test_jobs_that_share_a_machine_know_its_cores(
    before: str | None,
    parallel: int,
    expected: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hydra_launcher, "count_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", before or "")
    if before is None:
        monkeypatch.delenv("OMP_NUM_THREADS")
    sweep = SweepFolder(tmp_path)
    sweep.write(command="", words=[], working_folder="", at_once=parallel, launcher=[], jobs=[])
    with open_launcher(sweep, read_command([])):
        assert os.environ.get("OMP_NUM_THREADS") == expected
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_no_config_of_a_job_stays_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[int] = []

    def count_configs(config: DictConfig, plugins: Sequence[str] = ()) -> None:
        gc.collect()
        alive.append(sum(type(item) is DictConfig for item in gc.get_objects()))

    monkeypatch.setattr(hydra_launcher, "run_job", count_configs)
    jobs = [SweepJob(number, str(number), (f"seed={number}",), {}) for number in range(4)]
    sweep = SweepFolder(tmp_path)
    sweep.write(command="", words=[], working_folder="", at_once=1, launcher=[], jobs=jobs)
    with open_launcher(sweep, read_command([])) as launch:
        launch(jobs)
    assert alive[3] == alive[1]
