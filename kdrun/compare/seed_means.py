"""The lines of a comparison's table: means of a model's metrics over the seeds of a setting."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import isfinite
from operator import attrgetter
from statistics import fmean
from typing import Any, NamedTuple

from kdrun.compare.gather import Run
from kdrun.compare.metrics import RowMetric, RowMetrics, metrics_of
from kdrun.compare.run_rows import runtime_of
from kdrun.compare.settings import Setting
from kdrun.compare.statistics import Estimate, estimate
from kdrun.core.records.summary import Row

FRONT_COSTS = ("bytes", "macs", "latency")
_REFERENCES = ("teacher", "alone")  # rows that the other rows are compared with


@dataclass(frozen=True)
class TableLine:
    """A line of the table: a model with its means over seeds.

    Attributes:
        model: the name of its row in `summary.json`: teacher, alone, distilled, or the name of a
            compression step.
        settings: the settings that share the model; often only one.
        values: the values of the differing keys that all of these settings have in common.
        rows: seed -> the row of `summary.json`.
        epochs: seed -> the epoch of the row's weights: last or best.
        metrics: the metrics of the task, by name.
        estimates: metric -> mean over the seeds; without the metrics that no row has.
        fronts: the costs by which the model is on the Pareto front: no other model is as cheap and
            better, or as good and cheaper.
    """

    model: str
    settings: Sequence[Setting]
    values: Mapping[str, Any]
    rows: Mapping[int, Row]
    epochs: Mapping[int, str]
    metrics: RowMetrics
    estimates: Mapping[str, Estimate]
    fronts: frozenset[str] = frozenset()

    def figures(self, metric: str) -> dict[int, float]:
        """Return seed -> value of a metric, for the seeds with a finite value."""
        return figures(self.rows, self.epochs, self.metrics[metric])

    @property
    def runtime(self) -> str:
        """The runtime of the model's latency; empty if the model was not timed."""
        latencies = (row["latency"] for row in self.rows.values())
        return next((runtime_of(latency) for latency in latencies if latency), "")


def figures(
    rows: Mapping[int, Row], epochs: Mapping[int, str], metric: RowMetric
) -> dict[int, float]:
    """Return seed -> value of a metric, for the seeds with a finite value.

    Args:
        rows: seed -> row of `summary.json`.
        epochs: seed -> the epoch of the row's weights: last or best.
        metric: the metric.
    """
    values = {seed: metric.read(row, epochs[seed]) for seed, row in rows.items()}
    return {
        seed: float(value)
        for seed, value in values.items()
        if value is not None and isfinite(value)
    }


def table_lines(settings: Sequence[Setting], metric: str) -> list[TableLine]:
    """Return the lines of a table: the teacher and the control first, then each setting's models.

    Args:
        settings: the settings of the table.
        metric: the name of the metric whose Pareto fronts are marked. There are none if neither
            more nor less of the metric is better.
    """
    models = _shared_models(settings)
    references = [shared for name in _REFERENCES for shared in models if shared.model == name]
    others = [shared for shared in models if shared.model not in _REFERENCES]
    order = {id(setting): index for index, setting in enumerate(settings)}
    others.sort(key=lambda shared: order[id(shared.settings[0])])
    lines = [_line(shared.model, shared.settings) for shared in (*references, *others)]
    return _with_fronts(lines, metric)


class _SharedModel(NamedTuple):
    """A model and the settings that share it.

    Attributes:
        model: the name of the model's row.
        settings: the settings.
        fingerprints: seed -> fingerprint of the model's artefact.
    """

    model: str
    settings: list[Setting]
    fingerprints: dict[int, str]


def _shared_models(settings: Sequence[Setting]) -> list[_SharedModel]:
    """Return the models; settings share a model if its fingerprints agree in each common seed."""
    models: list[_SharedModel] = []
    index_of: dict[tuple[str, int, str], int] = {}  # model, seed, fingerprint -> index in `models`
    for setting in settings:
        for model in _models(setting):
            fingerprints = {
                seed: run.rows[model]["fingerprint"]
                for seed, run in setting.runs.items()
                if model in run.rows
            }
            keys = [(model, seed, fingerprint) for seed, fingerprint in fingerprints.items()]
            candidates = {index_of[key] for key in keys if key in index_of}
            index = candidates.pop() if len(candidates) == 1 else None
            if index is None or any(
                models[index].fingerprints.get(seed, fingerprint) != fingerprint
                for seed, fingerprint in fingerprints.items()
            ):
                index = len(models)
                models.append(_SharedModel(model, [], {}))
            models[index].settings.append(setting)
            models[index].fingerprints.update(fingerprints)
            index_of.update(dict.fromkeys(keys, index))
    return models


def metrics_of_settings(settings: Sequence[Setting]) -> RowMetrics:
    """Return the metrics of comparable settings, which have one task."""
    run = next(iter(settings[0].runs.values()))
    return metrics_of(run.summary)


def _models(setting: Setting) -> list[str]:
    """Return the names of all rows that a run of the setting has."""
    return list(dict.fromkeys(model for run in setting.runs.values() for model in run.rows))


def runs_with_model(model: str, settings: Sequence[Setting]) -> dict[int, Run]:
    """Return seed -> run that has the model; of several settings, the run of the first one."""
    all_runs = (item for setting in reversed(settings) for item in setting.runs.items())
    return dict(sorted({seed: run for seed, run in all_runs if model in run.rows}.items()))


def _line(model: str, settings: Sequence[Setting]) -> TableLine:
    runs = runs_with_model(model, settings)
    rows = {seed: run.rows[model] for seed, run in runs.items()}
    epochs = {seed: run.summary["epoch"] for seed, run in runs.items()}
    metrics = metrics_of_settings(settings)
    values_of = {
        name: list(figures(rows, epochs, metric).values()) for name, metric in metrics.items()
    }
    common_values = {
        key: value
        for key, value in settings[0].values.items()
        if all(key in setting.values and setting.values[key] == value for setting in settings)
    }
    estimates = {name: estimate(values) for name, values in values_of.items() if values}
    return TableLine(model, settings, common_values, rows, epochs, metrics, estimates)


def _with_fronts(lines: Sequence[TableLine], metric: str) -> list[TableLine]:
    """Return the lines with their Pareto fronts."""
    fronts: list[set[str]] = [set() for _ in lines]
    for cost in FRONT_COSTS if lines and lines[0].metrics[metric].better else ():
        for points in _points(lines, metric, cost).values():
            for point in _front(points):
                fronts[point.line].add(cost)
    return [
        replace(line, fronts=frozenset(costs)) for line, costs in zip(lines, fronts, strict=True)
    ]


class _Point(NamedTuple):
    """A line in the plane of cost and merit.

    Attributes:
        cost: the mean cost.
        merit: the mean of the metric, negated where less is better.
        line: the index of the line.
    """

    cost: float
    merit: float
    line: int


def _points(lines: Sequence[TableLine], metric: str, cost: str) -> dict[str, list[_Point]]:
    """Return runtime -> points; costs other than latency have the single runtime "".

    Networks of the same structure get their mean latency, as their differences are noise.
    """
    measured = {
        index: line for index, line in enumerate(lines) if {metric, cost} <= line.estimates.keys()
    }
    structures = {
        index: _structure(line) if cost == "latency" else (index,)
        for index, line in measured.items()
    }
    costs_of: dict[Any, list[float]] = {}
    for index, line in measured.items():
        costs_of.setdefault(structures[index], []).append(line.estimates[cost].mean)
    points: dict[str, list[_Point]] = {}
    for index, line in measured.items():
        runtime = line.runtime if cost == "latency" else ""
        merit = line.metrics[metric].sign * line.estimates[metric].mean
        points.setdefault(runtime, []).append(
            _Point(fmean(costs_of[structures[index]]), merit, index)
        )
    return points


def _structure(line: TableLine) -> tuple[Any, ...]:
    """Return what networks of the same structure have in common."""
    row = next(iter(line.rows.values()))
    return (line.runtime, *(row.get(key) for key in ("name", "parameters", "macs", "bytes")))


def _front(points: Iterable[_Point]) -> Iterator[_Point]:
    """Yield the points on the Pareto front."""
    best = float("-inf")
    by_cost = sorted(points, key=attrgetter("cost"))
    for _, group in groupby(by_cost, attrgetter("cost")):
        equally_cheap = list(group)
        top = max(point.merit for point in equally_cheap)
        if top > best:
            yield from (point for point in equally_cheap if point.merit == top)
            best = top
