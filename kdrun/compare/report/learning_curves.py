"""The learning section of a run's page: validation scores and loss terms over epochs."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdrun.compare.report.figure import Figure
from kdrun.compare.report.line_chart import Curve, line_chart
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.run_record import RunRecord
from kdrun.task.base import Task

_NOT_TERMS = (
    "stage",
    "phase",
    "epoch",
    "step",
    "split",
    "lr",
    "grad_norm",
    "nonfinite",
)
_MAIN = "main"  # the last phase of training; most losses have no other phase
_TRAIN_AXES = ("epoch", "mean over the epoch")

Measurements = Sequence[Mapping[str, Any]]  # lines of metrics.jsonl
Points = list[tuple[float, float]]  # (epoch, value)


def learning(record: RunRecord) -> Section:
    """Return the curves of every trained stage, in the order of the stages."""
    blocks: list[Block] = []
    if record.trained_stages:
        blocks = [_validation(record), *_terms(record)]
    return Section("Learning curves", blocks)


def curve_points(
    measurements: Measurements, stage: str, split: str, key: str, factor: float = 1.0
) -> Points:
    """Return the values of a key over epochs; on validation, only those of the main phase.

    Args:
        measurements: the measurements of a run.
        stage: name of the stage.
        split: train or validation.
        key: key of the measurements, such as a metric or a loss term.
        factor: the values are multiplied by it.
    """
    return [
        (line["epoch"], factor * line[key])
        for line in measurements
        if line["stage"] == stage
        and line["split"] == split
        and line.get(key) is not None
        and (split == "train" or line.get("phase", _MAIN) == _MAIN)
    ]


def row_colors(record: RunRecord) -> dict[str, int]:
    """Return the color number of each model, the same in every chart of a page.

    The keys are the rows of the results table, and the stages that have no row.
    """
    names = [row["model"] for row in record.rows]
    names += [name for name in record.trained_stages.values() if name not in names]
    return {name: number for number, name in enumerate(names)}


def _validation(record: RunRecord) -> Figure:
    """Draw the leading validation score of every trained stage over epochs."""
    best_epochs = {row["model"]: row["best"]["epoch"] for row in record.rows if row.get("best")}
    colors, metric = row_colors(record), record.task.leading()
    curves = []
    for stage, name in record.trained_stages.items():
        points = curve_points(
            record.measurements, stage, "validation", metric.name, metric.unit.factor
        )
        marked = best_epochs.get(name) if len(points) > 1 else None
        curves.append(Curve(name, points, colors[name], marked=marked))
    note = "Ring: the best epoch by validation." if best_epochs else ""
    axes, title = ("epoch", metric.axis("validation")), f"{metric.heading} on validation"
    return line_chart(f"learning-{metric.name}", title, curves, axes, note)


def _terms(record: RunRecord) -> list[Figure]:
    """Draw one chart of all losses with a single term, and a chart for each other loss."""
    single_terms: list[Curve] = []
    charts: list[Figure] = []
    for stage, phase in _phases(record.measurements):
        lines = [line for line in record.measurements if line.get("phase", _MAIN) == phase]
        suffix = "" if phase == _MAIN else phase
        name = ", ".join(filter(None, [record.trained_stages[stage], suffix]))
        curves = [
            Curve(term, curve_points(lines, stage, "train", term), number)
            for number, term in enumerate(_terms_of(lines, stage, record.task))
        ]
        if len(curves) == 1:
            single_terms.append(
                Curve(f"{name}: {curves[0].name}", curves[0].points, len(single_terms))
            )
        elif curves:
            file = "-".join(filter(None, ["learning-loss", stage, suffix]))
            charts.append(line_chart(file, f"Terms of the loss: {name}", curves, _TRAIN_AXES))
    if single_terms:
        title = f"Loss on training {record.sample}s"
        charts.insert(0, line_chart("learning-loss", title, single_terms, _TRAIN_AXES))
    return charts


def _terms_of(measurements: Measurements, stage: str, task: Task) -> list[str]:
    """Return the terms of a stage's loss; if it has several, their sum `loss` is last."""
    keys = [
        key
        for line in measurements
        if line["stage"] == stage and line["split"] == "train"
        for key in line
        if key not in _NOT_TERMS and key not in task.scores
    ]
    terms = [key for key in dict.fromkeys(keys) if key != "loss"]
    return [*terms, "loss"] if len(terms) > 1 and "loss" in keys else terms


def _phases(measurements: Measurements) -> list[tuple[str, str]]:
    """Return (stage, phase) for every phase of training, in order."""
    return list(dict.fromkeys((line["stage"], line.get("phase", _MAIN)) for line in measurements))
