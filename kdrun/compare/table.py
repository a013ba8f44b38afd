"""A run's results as tables with a row for each model."""

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from kdrun.compare.columns import Column, fits, table_of, tables_that_fit
from kdrun.compare.run_columns import (
    COST_COLUMNS,
    MODEL,
    NETWORK,
    domain_columns,
    score_columns,
    step_columns,
)
from kdrun.compare.run_notes import run_notes
from kdrun.compare.run_rows import step_rows
from kdrun.core.control_characters import one_line
from kdrun.core.records.summary import Row, Summary


class ResultsTable:
    """The results of a run, with notes on how they came about.

    Rich prints it as one table if the terminal is wide enough, else scores and costs below each
    other. No number is ever cut.

    Args:
        summary: the contents of summary.json.
    """

    def __init__(self, summary: Summary) -> None:
        self.summary = summary

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        summary, rows = self.summary, self.summary["rows"]
        yield Text(one_line(f"test split of {summary['dataset']}, {summary['samples']} samples"))
        scores = score_columns(summary)
        all_columns = [MODEL, NETWORK, *scores, *COST_COLUMNS]
        if fits(all_columns, rows, options.max_width):
            yield table_of(all_columns, rows)
        else:
            yield from _tables(scores, rows, options)
            yield from _tables([NETWORK, *COST_COLUMNS], rows, options)
        if steps := step_rows(summary):
            yield Text("each step of compression against the model before it")
            yield from _tables(step_columns(summary), steps, options)
        sample = summary.get("sample", "image")
        for name, samples in summary.get("domains", {}).items():
            yield Text(one_line(f"test {sample}s of {name}, {samples} samples"))
            yield from _tables(domain_columns(summary, name), rows, options)
        yield from (Text(one_line(note)) for note in run_notes(summary))


def _tables(columns: Sequence[Column], rows: Sequence[Row], options: ConsoleOptions) -> list[Table]:
    return tables_that_fit([MODEL], columns, rows, options.max_width)
