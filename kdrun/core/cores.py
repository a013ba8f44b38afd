"""How many processors there are for this process."""

import os


def count_cores() -> int:
    """The processors that this process may use; containers often get fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
