"""Chooses Hydra's launcher for a sweep, and how many jobs run at the same time on a machine."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

from kdrun.core.cores import allowed_cores, count_cores
from kdrun.core.errors import Fault

_JOBLIB = "hydra_plugins.hydra_joblib_launcher"
_RESERVE = 0.1  # share of a GPU's free memory that stays free
_CONTEXT = 2**30  # estimated bytes of the CUDA context of each process


class LauncherChoice(NamedTuple):
    """A launcher, and how many jobs it runs.

    Attributes:
        overrides: overrides that select the launcher; empty if the user's launcher is kept.
        parallel: how many jobs run on this machine at the same time.
    """

    overrides: list[str]
    parallel: int


def faults_of_jobs(jobs: object, launcher: Mapping[str, Any]) -> list[Fault]:
    """Return the faults of `launcher.jobs`: more than 1 job needs Hydra's joblib launcher.

    Args:
        jobs: the value of `launcher.jobs`.
        launcher: the config node `hydra.launcher`.
    """
    if jobs == 1 or not _is_number(jobs):
        return []
    kind = _kind(launcher)
    if kind != "BasicLauncher":
        return [
            Fault(
                "launcher.jobs",
                f"selects a launcher, but {kind} is selected too; keep one",
            )
        ]
    if find_spec("hydra_plugins") is None or find_spec(_JOBLIB) is None:
        return [Fault("launcher.jobs", "needs an extra: pip install 'kdrun[sweep]'")]
    return []


def choose_launcher(jobs: object, launcher: Mapping[str, Any], count: int) -> LauncherChoice:
    """Return the launcher that `launcher.jobs` selects.

    Args:
        jobs: the value of `launcher.jobs`; 1 keeps the launcher that the user selected.
        launcher: the config node `hydra.launcher`.
        count: number of jobs in the sweep.
    """
    if jobs == 1 or not _is_number(jobs) or faults_of_jobs(jobs, launcher):
        return LauncherChoice([], count_parallel(launcher, count))
    parallel = min(count, count_cores() if jobs == "auto" else int(str(jobs)))
    return LauncherChoice(joblib_overrides(parallel), parallel)


def joblib_overrides(jobs: int) -> list[str]:
    """Return Hydra's overrides that run `jobs` jobs at the same time, each in its own process."""
    return ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}"]


def jobs_that_fit(free: int, peak: int, jobs: int) -> int:
    """Return how many jobs fit into a GPU's memory at the same time, at least 1.

    Args:
        free: free bytes of the GPU's memory.
        peak: peak memory of a job of the same sweep, in bytes.
        jobs: number of jobs that have not run yet.
    """
    fitting = int(free * (1 - _RESERVE)) // (peak + _CONTEXT)
    return max(1, min(fitting, jobs, count_cores()))


def count_parallel(launcher: Mapping[str, Any], jobs: int) -> int:
    """Return how many jobs a launcher runs on this machine at the same time.

    Args:
        launcher: the config node `hydra.launcher`.
        jobs: number of jobs in the sweep.
    """
    kind = _kind(launcher)
    if kind == "LocalLauncher":  # of submitit; it starts all jobs at once
        return jobs
    if kind == "RayLauncher":
        return min(jobs, _ray_tasks(launcher.get("ray", {})))
    if kind == "JoblibLauncher":
        return min(jobs, _joblib_workers(launcher.get("n_jobs", -1)))
    return 1  # jobs run one after the other, or on different machines


def _is_number(jobs: object) -> bool:
    """Return whether a value of `launcher.jobs` is valid; the config check reports invalid ones."""
    return jobs == "auto" or (isinstance(jobs, int) and jobs > 0)


def _kind(launcher: Mapping[str, Any]) -> str:
    """Return the name of the launcher's class."""
    return str(launcher.get("_target_", "")).rpartition(".")[2]


def _joblib_workers(n_jobs: Any) -> int:
    """Return the number of workers for `n_jobs`: -1 means all cores, -2 all except one, etc."""
    number = int(n_jobs) if isinstance(n_jobs, int | float | str) else 1
    return number if number > 0 else max(1, allowed_cores() + 1 + number)


def _ray_tasks(ray: Mapping[str, Any]) -> int:
    """Return how many tasks Ray runs at the same time; a task takes one CPU by default."""
    cpus = ray.get("init", {}).get("num_cpus") or allowed_cores()
    cpus_per_task = ray.get("remote", {}).get("num_cpus") or 1
    return max(1, int(cpus / cpus_per_task))
