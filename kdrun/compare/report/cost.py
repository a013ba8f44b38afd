"""What accuracy costs in bytes, work and time, with the models that nothing beats at both."""

from collections.abc import Callable, Sequence
from typing import Any

from kdrun.compare.figures import EAGER, Row
from kdrun.compare.report.drawing import Figure
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.record import Record
from kdrun.compare.report.scatter import Point, pareto, scatter_chart

Cost = Callable[[Row], float | None]
_PLACE = ("runtime", "device", "threads", "batch", "dtype")


def _median(row: Row) -> float | None:
    return row["latency"]["median_ms"] if row["latency"] else None


# File, title, axis, and where the cost is in a row.
COSTS: list[tuple[str, str, str, Cost]] = [
    ("cost-bytes", "Accuracy and size", "bytes on disk", lambda row: row["bytes"]),
    ("cost-macs", "Accuracy and work", "multiply-accumulates an image", lambda row: row["macs"]),
    ("cost-latency", "Accuracy and latency", "median ms a batch", _median),
]


def cost(record: Record) -> Section:
    """Test accuracy against bytes, multiply-accumulates and milliseconds."""
    blocks: list[Block] = []
    for name, title, axis, of in COSTS:
        rows = [(number, row) for number, row in enumerate(record.rows) if of(row)]
        if len(rows) > 1:
            blocks.append(_chart(name, title, axis, of, rows))
    return Section("Accuracy and cost", blocks)


def _chart(name: str, title: str, axis: str, of: Cost, rows: Sequence[tuple[int, Row]]) -> Figure:
    costs = [float(of(row) or 0) for _, row in rows]
    values = [row["accuracy"] for _, row in rows]
    places = [place_of(row) if of is _median else None for _, row in rows]
    same = [place == places[0] for place in places]
    inside = [at for at, held in enumerate(same) if held]
    best = pareto([costs[at] for at in inside], [values[at] for at in inside])
    front = dict(zip(inside, best, strict=True))
    points = [
        Point(
            row["model"],
            costs[at],
            100 * values[at],
            number,
            _interval(row),
            front.get(at, False),
            hollow=not same[at],
        )
        for at, (number, row) in enumerate(rows)
    ]
    note = "Test samples; lines: 95 % intervals, from the number of test samples alone."
    others = sorted({place[0] for place in places if place and place != places[0]})
    if others:
        note += f" Hollow: timed in {', '.join(others)}, and held against none of the others."
    return scatter_chart(name, title, points, (axis, "top-1 accuracy, %"), note)


def place_of(row: Row) -> tuple[Any, ...]:
    """How a row's time was taken: only times of the same kind are held against each other."""
    latency = {"runtime": EAGER, **row["latency"]}
    return tuple(latency.get(key) for key in _PLACE)


def _interval(row: Row) -> tuple[float, float]:
    half = row["accuracy_half_width"]
    return 100 * max(0.0, row["accuracy"] - half), 100 * min(1.0, row["accuracy"] + half)
