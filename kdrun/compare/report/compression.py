"""The compression section of a run's page: notes, ranges of activations, sensitivity of layers."""

from collections.abc import Mapping

from kdrun.compare.report.elements import bullets
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.matrix_chart import Cell, Side, matrix_chart
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.ranges_chart import ranges_chart
from kdrun.compare.report.run_record import RunRecord
from kdrun.core.metrics import Metric

# Layer -> trial (a way to compress it) -> change of the leading validation score, in the
# unit of tables; None
# where it was not measured.
Losses = Mapping[str, Mapping[str, float | None]]


def compression(record: RunRecord) -> Section:
    """Show the notes and ranges of the compression steps, and the chart of `kdrun sensitivity`."""
    blocks: list[Block] = []
    notes = [
        f"{artefact['stage']}: {note}"
        for artefact in record.artefacts
        if str(artefact.get("stage", "")).startswith("compress")
        for note in artefact.get("notes") or ()
    ]
    if notes:
        blocks.append(bullets(notes))
    for artefact in record.artefacts:
        if artefact.get("ranges"):
            step = artefact["stage"]
            title = f"Ranges of activations: {step}"
            blocks.append(ranges_chart(f"ranges-{step}", title, artefact["ranges"]))
    if record.sensitivity:
        row, score = record.sensitivity["row"], record.sensitivity["accuracy"]
        losses, metric = record.sensitivity["losses"], record.task.leading()
        blocks.append(sensitivity_chart(row, score, losses, metric))
    return Section("Compression", blocks)


def sensitivity_chart(row: str, score: float, losses: Losses, metric: Metric) -> Figure:
    """Draw a matrix of layers by trials: change of score when only this layer is compressed.

    Args:
        row: name of the network's row in the results table.
        score: validation score of the unchanged network, in the unit of records.
        losses: change of the score for each layer and trial, in the unit of tables.
        metric: the leading metric.
    """
    trials = list(dict.fromkeys(trial for points in losses.values() for trial in points))
    changes = [abs(value or 0) for points in losses.values() for value in points.values()]
    largest = max(changes, default=0) or 1
    word = metric.word or metric.label
    cells = [
        [_cell(layer, trial, points.get(trial), metric.sign * largest, metric) for trial in trials]
        for layer, points in losses.items()
    ]
    note = (
        f"Change of validation {word} in {metric.unit.name} when only one layer is changed,"
        f" compared with {metric.unit.text(score)}{metric.unit.sign} of {row}."
    )
    rows = Side("layer", list(losses), letters=20)
    columns = Side(f"change; cells: {metric.unit.name} of {word}", trials, letters=18)
    return matrix_chart("sensitivity", "Sensitivity of each layer", rows, columns, cells, note)


def _cell(
    layer: str, trial: str, points: float | None, largest: float, metric: Metric
) -> Cell | None:
    if points is None:
        return None
    cell_text = f"{points:+.{metric.unit.decimals - 1}f}"
    return Cell(
        points / largest,
        cell_text,
        f"{layer}, {trial}: {points:+.{metric.unit.decimals}f} {metric.unit.name}",
    )
