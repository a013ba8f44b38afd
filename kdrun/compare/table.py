"""One run's results as a table: a row a model."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from kdrun.compare.columns import Column, fits, table_of, tables_that_fit
from kdrun.compare.number_format import Row, compared
from kdrun.compare.run_columns import COST, MODEL, NETWORK, STEP, of_domain, quality
from kdrun.compare.run_notes import notes_of


def results_table(summary: Mapping[str, Any]) -> "Results":
    """The table of a run with its notes: on which samples, which epoch, timed how."""
    return Results(summary)


class Results:
    """One table where the terminal is wide enough, else answers and cost below each other.

    No figure is ever cut short: in a narrow terminal there are more tables.

    Args:
        summary: as in `summary.json`.
    """

    def __init__(self, summary: Mapping[str, Any]) -> None:
        self.summary = summary

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(f"test split of {self.summary['dataset']}, {self.summary['samples']} samples")
        answers = quality(self.summary)
        whole = [MODEL, NETWORK, *answers, *COST]
        if fits(whole, self.summary["rows"], options.max_width):
            yield table_of(whole, self.summary["rows"])
        else:
            yield from self._split(answers, options)
            yield from self._split([NETWORK, *COST], options)
        steps = compared(self.summary)
        if steps:
            yield Text("each step of compression against the model before it")
            yield from self._split(STEP, options, steps)
        for name, samples in (self.summary.get("domains") or {}).items():
            yield Text(f"test images of {name}, {samples} samples")
            yield from self._split(of_domain(name), options)
        yield from (Text(note) for note in notes_of(self.summary))

    def _split(
        self,
        columns: Sequence[Column],
        options: ConsoleOptions,
        rows: Sequence[Row] | None = None,
    ) -> list[Table]:
        shown = self.summary["rows"] if rows is None else rows
        return tables_that_fit([MODEL], columns, shown, options.max_width)
