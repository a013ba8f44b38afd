"""The lines of a comparison's table: means of a model's metrics over the seeds of a setting."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import isfinite
from statistics import fmean
from typing import Any

from kdrun.compare.gather import Run
from kdrun.compare.metrics import METRICS
from kdrun.compare.run_rows import runtime_of
from kdrun.compare.settings import Setting
from kdrun.compare.statistics import Estimate, estimate
from kdrun.core.records.summary import Row

COSTS = ("bytes", "macs", "latency")
_FIRST = ("teacher", "alone")  # rows that others are compared with


@dataclass(frozen=True)
class TableLine:
    """A model of one setting, or one that several settings share, over its seeds.

    Attributes:
        model: the row: teacher, alone, distilled, or what a step of compression is called.
        settings: that have the model.
        values: of the differing keys, where all of these settings have the same.
        rows: seed -> the row of `summary.json`.
        epochs: seed -> the epoch that the row's weights are of: last or best.
        estimates: metric -> mean over the seeds; without metrics that no row has.
        fronts: costs by which the model is on the Pareto front: no other is as cheap and better,
            or as good and cheaper.
    """

    model: str
    settings: Sequence[Setting]
    values: Mapping[str, Any]
    rows: Mapping[int, Row]
    epochs: Mapping[int, str]
    estimates: Mapping[str, Estimate]
    fronts: frozenset[str] = frozenset()

    def figures(self, metric: str) -> dict[int, float]:
        """Return seed -> value of a metric, for the seeds whose row has a finite one."""
        return figures(self.rows, self.epochs, metric)

    @property
    def runtime(self) -> str:
        """The runtime of its latency; empty where it was not timed."""
        latencies = (row["latency"] for row in self.rows.values())
        return next((runtime_of(latency) for latency in latencies if latency), "")


def figures(rows: Mapping[int, Row], epochs: Mapping[int, str], metric: str) -> dict[int, float]:
    """Return seed -> value of a metric, for the seeds whose row has a finite one."""
    read = METRICS[metric].read
    values = {seed: read(row, epochs[seed]) for seed, row in rows.items()}
    return {
        seed: float(value)
        for seed, value in values.items()
        if value is not None and isfinite(value)
    }


def table_lines(settings: Sequence[Setting], metric: str) -> list[TableLine]:
    """Return the lines of a table: the teacher and the control first, then each setting's models.

    Args:
        settings: that compare.
        metric: whose Pareto fronts are marked; there are none if neither more nor less is better.
    """
    drafts = _shared(settings)
    first = [draft for model in _FIRST for draft in drafts if draft[0] == model]
    rest = [draft for draft in drafts if draft[0] not in _FIRST]
    order = {id(setting): at for at, setting in enumerate(settings)}
    rest.sort(key=lambda draft: order[id(draft[1][0])])
    return _with_fronts([_line(model, owners) for model, owners in (*first, *rest)], metric)


def _shared(settings: Sequence[Setting]) -> list[tuple[str, list[Setting]]]:
    """Return each model with the settings that share it: same fingerprint for each seed."""
    drafts: list[tuple[str, list[Setting]]] = []
    marks: list[dict[int, str]] = []
    places: dict[tuple[str, int, str], int] = {}
    for setting in settings:
        for model in _models(setting):
            fingerprints = {
                seed: run.rows[model].get("fingerprint") or str(run.path)
                for seed, run in setting.runs.items()
                if model in run.rows
            }
            there = {places.get((model, seed, mark)) for seed, mark in fingerprints.items()} - {
                None
            }
            at = there.pop() if len(there) == 1 else None
            if at is None or any(
                marks[at].get(seed, mark) != mark for seed, mark in fingerprints.items()
            ):
                at = len(drafts)
                drafts.append((model, []))
                marks.append({})
            drafts[at][1].append(setting)
            marks[at].update(fingerprints)
            places.update({(model, seed, mark): at for seed, mark in fingerprints.items()})
    return drafts


def _models(setting: Setting) -> list[str]:
    return list(dict.fromkeys(model for run in setting.runs.values() for model in run.rows))


def runs_with_model(model: str, settings: Sequence[Setting]) -> dict[int, Run]:
    """Return seed -> a run that has the model."""
    found_in = (pair for setting in reversed(settings) for pair in setting.runs.items())
    return dict(sorted({seed: run for seed, run in found_in if model in run.rows}.items()))


def _line(model: str, settings: Sequence[Setting]) -> TableLine:
    runs = runs_with_model(model, settings)
    rows = {seed: run.rows[model] for seed, run in runs.items()}
    epochs = {seed: run.summary["epoch"] for seed, run in runs.items()}
    by_metric = {name: list(figures(rows, epochs, name).values()) for name in METRICS}
    values = {
        key: value
        for key, value in settings[0].values.items()
        if all(key in setting.values and setting.values[key] == value for setting in settings)
    }
    estimates = {name: estimate(means) for name, means in by_metric.items() if means}
    return TableLine(model, settings, values, rows, epochs, estimates)


def _with_fronts(lines: Sequence[TableLine], metric: str) -> list[TableLine]:
    on: dict[int, set[str]] = {at: set() for at in range(len(lines))}
    for cost in COSTS if METRICS[metric].better else ():
        for points in _points(lines, metric, cost).values():
            for at in _front(points):
                on[at].add(cost)
    return [replace(line, fronts=frozenset(on[at])) for at, line in enumerate(lines)]


def _points(
    lines: Sequence[TableLine], metric: str, cost: str
) -> dict[str, list[tuple[float, float, int]]]:
    """Return runtime -> (cost, merit, number of the line); costs but latency have one runtime, "".

    Networks of the same structure get their mean latency, as their differences are noise.
    """
    alike: dict[Any, list[float]] = {}
    known = [
        (at, line, _shape(line) if cost == "latency" else (at,))
        for at, line in enumerate(lines)
        if {metric, cost} <= line.estimates.keys()
    ]
    for _, line, shape in known:
        alike.setdefault(shape, []).append(line.estimates[cost].mean)
    points: dict[str, list[tuple[float, float, int]]] = {}
    sign = -1 if METRICS[metric].better == "less" else 1
    for at, line, shape in known:
        runtime = line.runtime if cost == "latency" else ""
        point = (fmean(alike[shape]), sign * line.estimates[metric].mean, at)
        points.setdefault(runtime, []).append(point)
    return points


def _shape(line: TableLine) -> tuple[Any, ...]:
    row = next(iter(line.rows.values()))
    return (line.runtime, *(row.get(key) for key in ("name", "parameters", "macs", "bytes")))


def _front(points: Iterable[tuple[float, float, int]]) -> Iterable[int]:
    """Yield the marks of the points (cost, merit, mark) on the Pareto front."""
    best = float("-inf")
    for _, alike in groupby(sorted(points, key=lambda point: point[0]), lambda point: point[0]):
        merits = [(merit, at) for _, merit, at in alike]
        top = max(merit for merit, _ in merits)
        if top > best:
            yield from (at for merit, at in merits if merit == top)
            best = top
