"""Counts the CPU cores of this process."""

import os


def count_cores() -> int:
    """Return how many CPU cores this process may use: in a container, often not all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
