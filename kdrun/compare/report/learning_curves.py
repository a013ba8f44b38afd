"""The section on learning: accuracy on validation, and the terms of each loss, over epochs."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdrun.compare.report.figure import Figure
from kdrun.compare.report.line_chart import Curve, line_chart
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.run_record import RunRecord
from kdrun.core.metrics import leading

_NO_TERMS = ("stage", "phase", "epoch", "step", "split", "accuracy", "lr", "grad_norm", "nonfinite")
_MAIN = "main"  # the last phase of a loss, and the only one of most
_TRAIN_AXES = ("epoch", "mean over the epoch")

Measurements = Sequence[Mapping[str, Any]]  # lines of metrics.jsonl
Points = list[tuple[float, float]]  # (epoch, value)


def learning(record: RunRecord) -> Section:
    """The curves of every stage that was trained, in the order of the stages."""
    blocks: list[Block] = []
    if record.trained_stages:
        blocks = [_validation(record), *_terms(record)]
    return Section("Learning curves", blocks)


def curve_points(
    measurements: Measurements, stage: str, split: str, key: str, factor: float = 1.0
) -> Points:
    """The values of a key over epochs; on validation, those of the main phase.

    Args:
        measurements: of a run.
        stage: its name.
        split: train or validation.
        key: of the measurements.
        factor: that values are multiplied by.
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
    """Row of the table, or stage without one -> its color, the same in every chart of a page."""
    names = [row["model"] for row in record.rows]
    names += [name for name in record.trained_stages.values() if name not in names]
    return {name: number for number, name in enumerate(names)}


def _validation(record: RunRecord) -> Figure:
    best = {row["model"]: row["best"]["epoch"] for row in record.rows if row.get("best")}
    colors = row_colors(record)
    curves = []
    for stage, name in record.trained_stages.items():
        points = curve_points(record.measurements, stage, "validation", leading().name, 100)
        marked = best.get(name) if len(points) > 1 else None
        curves.append(Curve(name, points, colors[name], marked=marked))
    note = "Ring: the best epoch by validation." if best else ""
    axes = ("epoch", "validation accuracy, %")
    return line_chart("learning-accuracy", "Accuracy on validation", curves, axes, note)


def _terms(record: RunRecord) -> list[Figure]:
    """A chart for each loss of several terms, after one chart of all losses of a single term."""
    single: list[Curve] = []
    charts: list[Figure] = []
    for stage, phase in _phases(record.measurements):
        lines = [line for line in record.measurements if line.get("phase", _MAIN) == phase]
        suffix = "" if phase == _MAIN else phase
        name = ", ".join(filter(None, [record.trained_stages[stage], suffix]))
        curves = [
            Curve(term, curve_points(lines, stage, "train", term), number)
            for number, term in enumerate(_terms_of(lines, stage))
        ]
        if len(curves) == 1:
            single.append(Curve(f"{name}: {curves[0].name}", curves[0].points, len(single)))
        elif curves:
            file = "-".join(filter(None, ["learning-loss", stage, suffix]))
            charts.append(line_chart(file, f"Terms of the loss: {name}", curves, _TRAIN_AXES))
    if single:
        title = "Loss on training images"
        charts.insert(0, line_chart("learning-loss", title, single, _TRAIN_AXES))
    return charts


def _terms_of(measurements: Measurements, stage: str) -> list[str]:
    """The names of the terms of a stage's loss, and `loss`, their sum, after several terms."""
    keys = [
        key
        for line in measurements
        if line["stage"] == stage and line["split"] == "train"
        for key in line
        if key not in _NO_TERMS
    ]
    terms = [key for key in dict.fromkeys(keys) if key != "loss"]
    return [*terms, "loss"] if len(terms) > 1 and "loss" in keys else terms


def _phases(measurements: Measurements) -> list[tuple[str, str]]:
    """(stage, phase) of every phase of training, in order."""
    return list(dict.fromkeys((line["stage"], line.get("phase", _MAIN)) for line in measurements))
