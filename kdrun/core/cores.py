"""Counts the CPU cores of this process."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

THREADS = (
    "OMP_NUM_THREADS"  # the variable by which OpenMP programs are told how many threads to use
)


def count_cores() -> int:
    """Return how many CPU cores this process should use: `OMP_NUM_THREADS`, if that is fewer.

    On a shared machine this variable is often the only limit: the cores of others can be used, but
    threads that wait for each other are far slower if they have to wait for a core as well.
    """
    cores = allowed_cores()
    first = os.environ.get(THREADS, "").partition(",")[0].strip()  # then those of nested regions
    return min(cores, int(first)) if first.isdecimal() and int(first) else cores


def allowed_cores() -> int:
    """Return how many CPU cores this process may use: in a container, often not all of them."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return min(cores, cpu_quota() or cores)


def cpu_quota(root: Path = Path("/")) -> int | None:
    """Return how many cores the quota of this process's control group is worth, rounded up.

    Args:
        root: root of the file system.

    Returns:
        The smallest quota of the group and the groups around it; None if there is no quota.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return None
    mount = root / "sys/fs/cgroup"
    quotas: list[float] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            quotas += _quotas(mount, path, ("cpu.max",))
        elif "cpu" in controllers.split(","):
            files = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            quotas += _quotas(mount / controllers, path, files)
    return math.ceil(min(quotas)) if quotas else None


def _quotas(mount: Path, path: str, files: tuple[str, ...]) -> Iterator[float]:
    """Yield the quotas of a group and of the groups around it, as a number of cores.

    Args:
        mount: the folder in which the groups are mounted.
        path: path of the group below it. In a container it may be a path of the host, which is not
            there; the mounted folder is that of the container's group then.
        files: names of the files with the time of all cores in a period, and the period.
    """
    group = mount / path.lstrip("/")
    for folder in (group, *group.parents):
        with suppress(OSError, ValueError):  # no such file; "max": no quota
            time, period = " ".join((folder / file).read_text() for file in files).split()
            if int(time) > 0:
                yield int(time) / int(period)
        if folder == mount:
            return
