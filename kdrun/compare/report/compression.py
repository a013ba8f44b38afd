"""The compression section of a run's page: notes, ranges of activations, sensitivity of layers."""

from collections.abc import Mapping

from kdrun.compare.report.elements import bullets
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.matrix_chart import Cell, Side, matrix_chart
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.ranges_chart import ranges_chart
from kdrun.compare.report.run_record import RunRecord

# Layer -> trial (a way to compress it) -> change of validation accuracy in percentage points; None
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
        row, accuracy = record.sensitivity["row"], record.sensitivity["accuracy"]
        blocks.append(sensitivity_chart(row, accuracy, record.sensitivity["losses"]))
    return Section("Compression", blocks)


def sensitivity_chart(row: str, accuracy: float, losses: Losses) -> Figure:
    """Draw a matrix of layers by trials: change of accuracy when only this layer is compressed.

    Args:
        row: name of the network's row in the results table.
        accuracy: validation accuracy of the unchanged network, in 0..1.
        losses: change of accuracy for each layer and trial.
    """
    trials = list(dict.fromkeys(trial for points in losses.values() for trial in points))
    changes = [abs(value or 0) for points in losses.values() for value in points.values()]
    largest = max(changes, default=0) or 1
    cells = [
        [_cell(layer, trial, points.get(trial), largest) for trial in trials]
        for layer, points in losses.items()
    ]
    note = (
        "Change of validation accuracy in points when only one layer is changed,"
        f" compared with {100 * accuracy:.2f} % of {row}."
    )
    rows = Side("layer", list(losses), letters=20)
    columns = Side("change; cells: points of accuracy", trials, letters=18)
    return matrix_chart("sensitivity", "Sensitivity of each layer", rows, columns, cells, note)


def _cell(layer: str, trial: str, points: float | None, largest: float) -> Cell | None:
    if points is None:
        return None
    return Cell(points / largest, f"{points:+.1f}", f"{layer}, {trial}: {points:+.2f} points")
