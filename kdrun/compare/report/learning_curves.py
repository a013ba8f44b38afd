"""How a run's networks learned: accuracy on validation, and the terms of each loss."""

from collections.abc import Sequence
from typing import Any

from kdrun.compare.report.drawing import Figure
from kdrun.compare.report.line_chart import Curve, line_chart
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.run_record import Line, Record
from kdrun.core.metrics import leading

_NO_TERMS = ("stage", "phase", "epoch", "step", "split", "accuracy", "lr", "grad_norm", "nonfinite")
_MAIN = "main"


def learning(record: Record) -> Section:
    """The curves of every stage that was trained, in the order of the stages."""
    stages = list(record.stages)
    blocks: list[Block] = []
    if stages:
        blocks = [_accuracy(record, stages), *_terms(record, stages)]
    return Section("Learning curves", blocks)


def _accuracy(record: Record, stages: Sequence[str]) -> Figure:
    best = {row["model"]: row["best"]["epoch"] for row in record.rows if row.get("best")}
    colors = row_colors(record)
    curves = []
    for stage in stages:
        name = record.stages[stage]
        points = points_of(record.lines, stage, "validation", leading().name, 100)
        marked = best.get(name) if len(points) > 1 else None
        curves.append(Curve(name, points, colors[name], marked=marked))
    note = "Ring: the best epoch by validation." if best else ""
    labels = ("epoch", "validation accuracy, %")
    return line_chart("learning-accuracy", "Accuracy on validation", curves, labels, note)


def _terms(record: Record, stages: Sequence[str]) -> list[Figure]:
    """The terms of each stage's loss; stages that have one term alone share a chart."""
    alone: list[Curve] = []
    several: list[Figure] = []
    for stage, phase in _phases(record.lines):
        lines = [line for line in record.lines if line.get("phase", _MAIN) == phase]
        terms = terms_of(lines, stage)
        name = record.stages[stage] + ("" if phase == _MAIN else f", {phase}")
        curves = [
            Curve(term, points_of(lines, stage, "train", term), number)
            for number, term in enumerate(_without_sum(terms))
        ]
        if len(curves) == 1:
            alone.append(Curve(f"{name}: {curves[0].name}", curves[0].points, len(alone)))
        elif curves:
            title = f"Terms of the loss: {name}"
            file = f"learning-loss-{stage}" + ("" if phase == _MAIN else f"-{phase}")
            several.append(line_chart(file, title, curves, ("epoch", "mean over the epoch")))
    first = [
        line_chart(
            "learning-loss", "Loss on training images", alone, ("epoch", "mean over the epoch")
        )
    ]
    return [*(first if alone else []), *several]


def points_of(
    lines: Sequence[Line], stage: str, split: str, key: str, factor: float = 1.0
) -> list[tuple[float, float]]:
    """(epoch, value) of a stage's measurements; of the main phase where it is validation's."""
    return [
        (line["epoch"], factor * line[key])
        for line in lines
        if line["stage"] == stage
        and line["split"] == split
        and line.get(key) is not None
        and (split == "train" or line.get("phase", _MAIN) == _MAIN)
    ]


def terms_of(lines: Sequence[Line], stage: str) -> list[str]:
    """The names of the terms of a stage's loss."""
    found: dict[str, Any] = {}
    for line in lines:
        if line["stage"] == stage and line["split"] == "train":
            found |= dict.fromkeys(key for key in line if key not in _NO_TERMS)
    return [key for key in found if key != "loss"] + (["loss"] if "loss" in found else [])


def row_colors(record: Record) -> dict[str, int]:
    """Each model's color, the same in every chart of a page."""
    names = [row["model"] for row in record.rows]
    names += [name for name in record.stages.values() if name not in names]
    return {name: number for number, name in enumerate(names)}


def _without_sum(terms: Sequence[str]) -> list[str]:
    """One term and its sum are the same."""
    return [term for term in terms if term != "loss" or len(terms) > 2]


def _phases(lines: Sequence[Line]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((line["stage"], line.get("phase", _MAIN)) for line in lines))
