"""The head of a run's page with the main results, and the section with the tables."""

from collections.abc import Mapping
from typing import Any

from kdrun.compare.report.elements import bullets, muted_text, tile
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.run_record import RunRecord
from kdrun.compare.report.tables import figures_table
from kdrun.compare.run_columns import (
    COST_COLUMNS,
    MODEL,
    NETWORK,
    domain_columns,
    score_columns,
    step_columns,
)
from kdrun.compare.run_details import both_epochs, epoch_columns
from kdrun.compare.run_notes import run_notes
from kdrun.compare.run_rows import step_rows
from kdrun.core.folder import STUDENT_ROW
from kdrun.core.metrics import Metric
from kdrun.core.number_format import count
from kdrun.core.records.summary import Row, difference_of, score_of


def results(record: RunRecord) -> Section:
    """Return the tables that `kdrun show` prints, with their notes."""
    summary = record.summary
    if summary is None:
        return Section("Results", [_unfinished(record)])
    split = f"test split of {summary['dataset']}, {summary['samples']} samples"
    blocks: list[Block] = [
        muted_text(split),
        figures_table([MODEL, NETWORK, *score_columns(summary)], summary["rows"]),
        figures_table([MODEL, *COST_COLUMNS], summary["rows"]),
    ]
    if any(row.get("best") for row in summary["rows"]):
        epochs = epoch_columns(summary)
        blocks += [
            tag("h3", both_epochs(summary).capitalize()),
            figures_table(epochs, summary["rows"]),
        ]
    steps = step_rows(summary)
    if steps:
        blocks.append(tag("h3", "Each step of compression against the model before it"))
        blocks.append(figures_table([MODEL, *step_columns(summary)], steps))
    sample = summary.get("sample", "image")
    for name, samples in (summary.get("domains") or {}).items():
        blocks.append(tag("h3", f"Test {sample}s of {name}, {samples} samples"))
        blocks.append(figures_table([MODEL, *domain_columns(summary, name)], summary["rows"]))
    blocks.append(bullets(run_notes(summary)))
    return Section("Results", blocks)


def headline(record: RunRecord) -> list[Markup]:
    """Return status, start time and seed of the run, and tiles with its main results."""
    manifest = record.manifest
    status = [
        tag("span", record.status, class_=f"status {record.status}"),
        f" started {manifest.get('started', 'at an unknown time')}",
        f" · seed {manifest.get('seed')}",
    ]
    if record.summary:
        status.append(f" · {record.summary['dataset']}")
    return [tag("p", *status, class_="muted"), *_tiles(record)]


def _tiles(record: RunRecord) -> list[Markup]:
    rows = {row["model"]: row for row in record.rows}
    student = record.student
    if student is None:
        return []
    last_row, metric = record.rows[-1], record.task.leading()
    tiles = [
        tile(_score_text(row, metric), f"{metric.label}, {row['model']}")
        for row in _main_rows(rows)
    ]
    gain = rows[student].get("gain")
    if gain:
        interval = f"{metric.change_text(gain['low'])} to {metric.change_text(gain['high'])}"
        caption = f"{metric.unit.name} over {gain['over']}, 95 % interval {interval}"
        tiles.insert(1, tile(metric.change_text(difference_of(gain)), caption))
    if "teacher" in rows and last_row["bytes"]:
        ratio = rows["teacher"]["bytes"] / last_row["bytes"]
        size = f"{count(last_row['bytes'])}B".replace(" B", " bytes")
        tiles.append(tile(f"{ratio:.1f}x", f"fewer bytes than the teacher ({size} on disk)"))
    return [tag("div", *tiles, class_="tiles")]


def _score_text(row: Row, metric: Metric) -> str:
    score = score_of(row, metric.name)
    return f"{'-' if score is None else metric.unit.text(score)}{metric.unit.sign}"


def _main_rows(rows: Mapping[str, Row]) -> list[Row]:
    """Return the rows of the student, the last compression step, the control and the teacher."""
    names = [STUDENT_ROW, list(rows)[-1], "alone", "teacher"]
    return [rows[name] for name in dict.fromkeys(names) if name in rows]


def _unfinished(record: RunRecord) -> Markup:
    error: Any = record.manifest.get("error")
    reason = f": {error}" if error else "."
    return tag("p", f"There is no table: the run is {record.status}{reason}", class_="bad")
