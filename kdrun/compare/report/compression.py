"""Which layers bear compression, where that was measured, and what the steps noted."""

from collections.abc import Mapping
from typing import Any

from kdrun.compare.report.cells import listed
from kdrun.compare.report.drawing import Figure
from kdrun.compare.report.matrix import Cell, Side, matrix_chart
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.ranges import ranges_chart
from kdrun.compare.report.record import Record


def compression(record: Record) -> Section:
    """The plot of `kdrun sensitivity`, and the steps' own sentences."""
    blocks: list[Block] = []
    notes = [
        f"{artefact['stage']}: {note}"
        for artefact in record.artefacts
        if str(artefact.get("stage", "")).startswith("compress")
        for note in artefact.get("notes") or ()
    ]
    if notes:
        blocks.append(listed(notes))
    for artefact in record.artefacts:
        if artefact.get("ranges"):
            step = artefact["stage"]
            title = f"Ranges of activations: {step}"
            blocks.append(ranges_chart(f"ranges-{step}", title, artefact["ranges"]))
    if record.sensitivity:
        blocks.append(_sensitivity(record.sensitivity))
    return Section("Compression", blocks)


def _sensitivity(found: Mapping[str, Any]) -> Figure:
    """Layers by trials: what validation accuracy gains or loses when one layer is changed."""
    losses: Mapping[str, Mapping[str, float | None]] = found["losses"]
    trials = list(dict.fromkeys(trial for one in losses.values() for trial in one))
    most = max((abs(points or 0) for one in losses.values() for points in one.values()), default=0)
    cells = [
        [_cell(layer, trial, one.get(trial), most or 1) for trial in trials]
        for layer, one in losses.items()
    ]
    note = (
        "Points of validation accuracy gained or lost when one layer alone is changed, against"
        f" {100 * found['accuracy']:.2f} % of {found['row']}."
    )
    sides = (Side("layer", list(losses), 20), Side("change", trials, 18))
    return matrix_chart("sensitivity", "Sensitivity of each layer", *sides, cells, note)


def _cell(layer: str, trial: str, points: float | None, most: float) -> Cell | None:
    if points is None:
        return None
    return Cell(points / most, f"{points:+.1f}", f"{layer}, {trial}: {points:+.2f} points")
