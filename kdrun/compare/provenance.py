"""Notes on how the runs of a table were made: budgets, versions, devices, timing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from kdrun.compare.gather import Run
from kdrun.compare.run_rows import timed_batch
from kdrun.compare.seed_means import TableLine
from kdrun.core.folder import STUDENT_ROW
from kdrun.core.number_format import many
from kdrun.core.records.summary import EAGER

_STUDENTS = ("alone", STUDENT_ROW)  # the rows of the two students that are compared

# Name in the note -> path of keys in the environment's record.
_ENVIRONMENT = {
    "torch": ("packages", "torch"),
    "kdrun": ("kdrun",),
    "device": ("device",),
    "CPU instructions": ("instructions",),
}


def budgets(runs: Sequence[Run]) -> list[str]:
    """Return a note if students that are compared were trained for different numbers of steps."""
    steps = [
        [run.rows[row].get("steps") if row in run.rows else None for row in _STUDENTS]
        for run in runs
    ]
    unequal = sum(None not in pair and len(set(pair)) > 1 for pair in steps)
    if not unequal:
        return []
    return [
        f"Not the same budget: in {unequal} of {many(len(runs), 'run')} the distilled student and"
        " the student alone made different numbers of steps."
    ]


def environments(runs: Sequence[Run]) -> list[str]:
    """Return notes on versions and devices that differ, and on runs that are not exact."""
    notes = []
    for name, path in _ENVIRONMENT.items():
        counts = _counts(_value_at(run.environment, path) for run in runs)
        if len(counts) > 1:
            listed = ", ".join(f"{value} ({many(count, 'run')})" for value, count in counts.items())
            notes.append(f"Not all runs were made with the same {name}: {listed}.")
    inexact = sum(bool(run.summary.get("inexact")) for run in runs)
    if inexact:
        notes.append(f"{inexact} of {len(runs)} runs are not exact; kdrun show RUN says why.")
    return notes


def latency_conditions(runs: Sequence[Run], lines: Sequence[TableLine]) -> list[str]:
    """Return notes on how latencies were measured, and how many jobs shared the machine."""
    latency = next(
        (row["latency"] for line in lines for row in line.rows.values() if row["latency"]), None
    )
    if latency is None:
        return []
    notes = [
        f"Latency: {timed_batch(latency)}, {latency['dtype']}, {latency['device']},"
        f" {many(latency['threads'], 'thread')}, {_runtimes(lines)}."
    ]
    jobs = max(int(run.summary.get("jobs") or 1) for run in runs) if runs else 1
    if jobs > 1:
        notes.append(
            f"Times were taken while up to {jobs} jobs shared the machine; alone they are shorter."
        )
    return notes


def _runtimes(lines: Sequence[TableLine]) -> str:
    """Return the names of the latencies' runtimes; those other than PyTorch have the mark *."""
    runtimes = _counts(line.runtime for line in lines if line.runtime)
    return " or ".join(name if name == EAGER else f"{name} (*)" for name in runtimes)


def _value_at(environment: Mapping[str, object], path: Sequence[str]) -> str:
    node: object = environment
    for key in path:
        node = node.get(key) if isinstance(node, Mapping) else None
    return "unknown" if node is None else str(node)


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values))
