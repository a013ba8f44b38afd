"""Hydra's launchers: how many jobs they run at the same time on one machine."""

from collections.abc import Mapping
from typing import Any

from kdrun.core.cores import cores


def at_once(launcher: Mapping[str, Any], jobs: int) -> int:
    """How many of a sweep's jobs run on this machine at the same time.

    Args:
        launcher: the node `hydra.launcher`.
        jobs: of the sweep.
    """
    kind = str(launcher.get("_target_", "")).rpartition(".")[2]
    if kind == "LocalLauncher":  # submitit's starts all of them
        return jobs
    if kind == "RayLauncher":
        return min(jobs, _tasks(launcher.get("ray", {})))
    if kind == "JoblibLauncher":
        return min(jobs, _workers(launcher.get("n_jobs", -1)))
    return 1  # one after the other, or each with a machine's share of its own


def _workers(given: Any) -> int:
    """joblib counts negative numbers down from all cores."""
    number = int(given) if isinstance(given, int | float | str) else 1
    return number if number > 0 else max(1, cores() + 1 + number)


def _tasks(ray: Mapping[str, Any]) -> int:
    """Ray starts as many tasks as its CPUs hold; a task takes one if nothing else is said."""
    there = ray.get("init", {}).get("num_cpus") or cores()
    each = ray.get("remote", {}).get("num_cpus") or 1
    return max(1, int(there / each))
