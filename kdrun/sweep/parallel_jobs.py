"""How many jobs of a sweep run at the same time on one machine, and what of Hydra runs them."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from kdrun.core.cores import cores
from kdrun.core.errors import Fault

_JOBLIB = "hydra_plugins.hydra_joblib_launcher"
_RESERVE = 0.1  # share of a GPU's free memory that is left alone
_CONTEXT = 2**30  # bytes that CUDA itself is expected to take for each process


def faults_of_jobs(jobs: object, launcher: Mapping[str, Any]) -> list[Fault]:
    """Whether `launcher.jobs` can be had: it is joblib in few words.

    Args:
        jobs: the key's value.
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


def choose(asked: object, launcher: Mapping[str, Any], jobs: int) -> tuple[list[str], int]:
    """Hydra's words that `launcher.jobs` stands for, and how many jobs run at the same time.

    Args:
        asked: the key's value; 1 leaves the choice to Hydra's own words.
        launcher: the node `hydra.launcher`.
        jobs: of the sweep.
    """
    if asked == 1 or not _is_number(asked) or faults_of_jobs(asked, launcher):
        return [], at_once(launcher, jobs)
    number = min(jobs, cores() if asked == "auto" else int(str(asked)))
    return joblib_words(number), number


def joblib_words(jobs: int) -> list[str]:
    """Hydra's words for so many jobs at the same time, in processes of their own."""
    return ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}"]


def jobs_that_fit(free: int, peak: int, jobs: int) -> int:
    """How many jobs a GPU holds at the same time, at least one.

    Args:
        free: bytes of its memory that are free.
        peak: bytes that a job of the same sweep took.
        jobs: that are left to run.
    """
    room = int(free * (1 - _RESERVE)) // (peak + _CONTEXT)
    return max(1, min(room, jobs, cores()))


def at_once(launcher: Mapping[str, Any], jobs: int) -> int:
    """How many of a sweep's jobs run on this machine at the same time.

    Args:
        launcher: the node `hydra.launcher`.
        jobs: of the sweep.
    """
    kind = _kind(launcher)
    if kind == "LocalLauncher":  # submitit's starts all of them
        return jobs
    if kind == "RayLauncher":
        return min(jobs, _tasks(launcher.get("ray", {})))
    if kind == "JoblibLauncher":
        return min(jobs, _workers(launcher.get("n_jobs", -1)))
    return 1  # one after the other, or each with a machine's share of its own


def _is_number(asked: object) -> bool:
    """Whether it is a value that the config's check will let through."""
    return asked == "auto" or (isinstance(asked, int) and asked > 0)


def _kind(launcher: Mapping[str, Any]) -> str:
    return str(launcher.get("_target_", "")).rpartition(".")[2]


def _workers(given: Any) -> int:
    """joblib counts negative numbers down from all cores."""
    number = int(given) if isinstance(given, int | float | str) else 1
    return number if number > 0 else max(1, cores() + 1 + number)


def _tasks(ray: Mapping[str, Any]) -> int:
    """Ray starts as many tasks as its CPUs hold; a task takes one if nothing else is said."""
    there = ray.get("init", {}).get("num_cpus") or cores()
    each = ray.get("remote", {}).get("num_cpus") or 1
    return max(1, int(there / each))
