"""How many jobs of a sweep run at the same time on one machine, and by which launcher of Hydra."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

from kdrun.core.cores import count_cores
from kdrun.core.errors import Fault

_JOBLIB = "hydra_plugins.hydra_joblib_launcher"
_RESERVE = 0.1  # share of a GPU's free memory that is not planned with
_CONTEXT = 2**30  # bytes that CUDA itself is expected to take for each process


class LauncherChoice(NamedTuple):
    """What `launcher.jobs` means.

    Attributes:
        overrides: of Hydra's config, which select the launcher; none if the user selected it.
        parallel: how many jobs run on this machine at the same time.
    """

    overrides: list[str]
    parallel: int


def faults_of_jobs(jobs: object, launcher: Mapping[str, Any]) -> list[Fault]:
    """The fault of a value of `launcher.jobs`, which stands for Hydra's joblib launcher.

    Args:
        jobs: the value.
        launcher: the node `hydra.launcher`.
    """
    if jobs == 1 or not _is_number(jobs):
        return []
    kind = _kind(launcher)
    if kind != "BasicLauncher":
        return [Fault("launcher.jobs", f"chooses a launcher, and {kind} was chosen; keep one")]
    if find_spec("hydra_plugins") is None or find_spec(_JOBLIB) is None:
        return [Fault("launcher.jobs", "needs an extra: pip install 'kdrun[sweep]'")]
    return []


def choose_launcher(jobs: object, launcher: Mapping[str, Any], count: int) -> LauncherChoice:
    """The launcher that `launcher.jobs` stands for.

    Args:
        jobs: the value of `launcher.jobs`; 1 keeps the launcher that the user selected.
        launcher: the node `hydra.launcher`.
        count: how many jobs the sweep has.
    """
    if jobs == 1 or not _is_number(jobs) or faults_of_jobs(jobs, launcher):
        return LauncherChoice([], count_parallel(launcher, count))
    parallel = min(count, count_cores() if jobs == "auto" else int(str(jobs)))
    return LauncherChoice(joblib_overrides(parallel), parallel)


def joblib_overrides(jobs: int) -> list[str]:
    """Hydra's overrides for this many jobs at the same time, each in a process of its own."""
    return ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}"]


def jobs_that_fit(free: int, peak: int, jobs: int) -> int:
    """How many jobs a GPU holds at the same time, at least one.

    Args:
        free: bytes of its memory that are free.
        peak: bytes that a job of the same sweep took.
        jobs: how many are left to run.
    """
    fitting = int(free * (1 - _RESERVE)) // (peak + _CONTEXT)
    return max(1, min(fitting, jobs, count_cores()))


def count_parallel(launcher: Mapping[str, Any], jobs: int) -> int:
    """How many jobs a launcher runs on this machine at the same time.

    Args:
        launcher: the node `hydra.launcher`.
        jobs: how many jobs the sweep has.
    """
    kind = _kind(launcher)
    if kind == "LocalLauncher":  # of submitit; it starts all jobs at once
        return jobs
    if kind == "RayLauncher":
        return min(jobs, _ray_tasks(launcher.get("ray", {})))
    if kind == "JoblibLauncher":
        return min(jobs, _joblib_workers(launcher.get("n_jobs", -1)))
    return 1  # one after the other, or each job with a machine, or a share of one, to itself


def _is_number(jobs: object) -> bool:
    """Whether the check of the config accepts this value of `launcher.jobs`."""
    return jobs == "auto" or (isinstance(jobs, int) and jobs > 0)


def _kind(launcher: Mapping[str, Any]) -> str:
    return str(launcher.get("_target_", "")).rpartition(".")[2]


def _joblib_workers(n_jobs: Any) -> int:
    """How many workers `n_jobs` means: -1 stands for all cores, -2 for all but one, and so on."""
    number = int(n_jobs) if isinstance(n_jobs, int | float | str) else 1
    return number if number > 0 else max(1, count_cores() + 1 + number)


def _ray_tasks(ray: Mapping[str, Any]) -> int:
    """How many tasks fit into Ray's CPUs; a task takes one CPU by default."""
    cpus = ray.get("init", {}).get("num_cpus") or count_cores()
    cpus_per_task = ray.get("remote", {}).get("num_cpus") or 1
    return max(1, int(cpus / cpus_per_task))
