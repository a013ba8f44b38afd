"""Sweeps through each launcher, for real."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from tiny import TINY, Kdrun

from kdrun.core.cores import count_cores
from kdrun.core.sweep import SweepFolder

QUICK = (*(word for word in TINY if word != "threads=1"), "controls=[]", "recipe.epochs=1")
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


def only_sweep(root: Path) -> SweepFolder:
    (found,) = root.glob("outputs/sweeps/*/*")
    return SweepFolder(found)


def statuses(sweep: SweepFolder) -> list[str]:
    return [sweep.status(job) for job in sweep.jobs()]


def holds(sweep: SweepFolder, jobs: int) -> None:
    """All jobs are finished, one has trained the teacher, threads were divided."""
    found = [sweep.run(job).manifest() for job in sweep.jobs()]
    assert [one["status"] for one in found] == ["finished"] * len(found)
    assert sum(not one["stages"]["teacher"]["from_store"] for one in found) == 1
    assert sweep.index()["at_once"] == jobs
    assert {one["config"]["threads"] for one in found} == {max(1, count_cores() // jobs)}


DEADLY = """
import os
from kdrun.loss.logits import KD
LOSSES = {"deadly": "killing:Deadly"}
class Deadly(KD):
    def forward(self, *given):
        if self.alpha == 0.25:
            os.kill(os.getpid(), 9)
        return super().forward(*given)
"""


@pytest.mark.slow
def test_a_killed_worker_of_joblib_takes_no_other_job_along(
    fresh_kdrun: Kdrun, tmp_path: Path
) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    (tmp_path / "killing.py").write_text(DEADLY)
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(tmp_path)])
    words = ("plugins=[killing]", "loss=deadly", "loss.temperature=2", "loss.alpha=0.25,0.5,0.75")
    done = fresh_kdrun("-m", *words, *JOBLIB, *QUICK, status=1, PYTHONPATH=path)
    sweep = only_sweep(tmp_path)
    assert statuses(sweep) == ["crashed", "finished", "finished"]
    assert "kdrun: the launcher gave up: TerminatedWorkerError" in done.stderr
    assert ": 2 of 3 jobs finished, 1 crashed" in done.stdout


SLOW = """
import os
import time
from pathlib import Path
from kdrun.loss.logits import KD
LOSSES = {"slow": "sleeping:Slow"}
class Slow(KD):
    def forward(self, *given):
        Path(f"{os.getpid()}.pid").touch()
        time.sleep(60)
"""


@pytest.fixture
def sleeping(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """A sweep whose two jobs of joblib are in the middle of a step."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    (tmp_path / "sleeping.py").write_text(SLOW)
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(tmp_path)])
    words = ("plugins=[sleeping]", "loss=slow", "loss.temperature=2", "loss.alpha=0.5", "seed=0,1")
    command = [sys.executable, "-m", "kdrun", "-m", *words, *JOBLIB, *QUICK]
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as sweep:
        try:
            soon(lambda: len(list(tmp_path.glob("*.pid"))) == 2, 100)
            yield sweep
        finally:
            sweep.kill()
            for file in tmp_path.glob("*.pid"):
                with suppress(ProcessLookupError):
                    os.kill(int(file.stem), signal.SIGKILL)


@pytest.mark.slow
def test_workers_of_joblib_end_with_a_sweep_that_is_killed(
    sleeping: subprocess.Popen, tmp_path: Path
) -> None:
    sleeping.kill()
    soon(lambda: statuses(only_sweep(tmp_path)) == ["crashed", "crashed"], 10)


@pytest.mark.slow
def test_jobs_of_joblib_that_ctrl_c_cuts_are_interrupted(
    sleeping: subprocess.Popen, tmp_path: Path
) -> None:
    sleeping.send_signal(signal.SIGINT)
    assert sleeping.wait(60) == 130
    assert statuses(only_sweep(tmp_path)) == ["interrupted", "interrupted"]


def soon(holds: Callable[[], bool], seconds: float) -> None:
    """Wait until something holds; an assertion fails where it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
def test_an_interrupted_sweep_of_joblib_goes_on_with_joblib(
    fresh_kdrun: Kdrun, tmp_path: Path
) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = ("loss.temperature=1,2,4", "launcher.jobs=2", *QUICK)
    fresh_kdrun("-m", *words, status=130, KDRUN_FAULT="step:6:int")
    sweep = only_sweep(tmp_path)
    assert statuses(sweep).count("finished") < 3
    assert set(statuses(sweep)) <= {"finished", "interrupted", "not started"}
    fresh_kdrun("resume", str(sweep.path))
    holds(sweep, 2)


@pytest.mark.slow
def test_submitit_on_this_machine(fresh_kdrun: Kdrun, tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    fresh_kdrun("-m", "loss.temperature=2,4", "hydra/launcher=submitit_local", *QUICK)
    holds(only_sweep(tmp_path), 2)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra 'ray'")
def test_ray(fresh_kdrun: Kdrun, tmp_path: Path) -> None:
    init = (
        "+hydra.launcher.ray.init.num_cpus=2",
        "+hydra.launcher.ray.init.include_dashboard=false",
    )
    fresh_kdrun("-m", "loss.temperature=1,2,4,8", "hydra/launcher=ray", *init, *QUICK)
    holds(only_sweep(tmp_path), 2)
