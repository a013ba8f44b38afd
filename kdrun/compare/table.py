"""One run's results as a table: a row a model."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from kdrun.compare.figures import Row, compared
from kdrun.compare.notes import notes_of
from kdrun.compare.run_columns import COST, F1, MODEL, NETWORK, STEP, Column, of_domain, quality

_ANY = 10_000  # columns: wider than any table
_WORDS = 20  # columns of a name; longer ones are folded


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
        whole = self._table([NETWORK, *answers, *COST])
        if _fits(whole, console, options):
            yield whole
        else:
            yield from self._split(answers, console, options)
            yield from self._split([NETWORK, *COST], console, options)
        steps = compared(self.summary)
        if steps:
            yield Text("each step of compression against the model before it")
            yield from self._split(STEP, console, options, steps)
        for name, samples in (self.summary.get("domains") or {}).items():
            yield Text(f"test images of {name}, {samples} samples")
            yield from self._split(of_domain(name), console, options)
        yield from (Text(note) for note in notes_of(self.summary))

    def _split(
        self,
        columns: Sequence[Column],
        console: Console,
        options: ConsoleOptions,
        rows: Sequence[Row] | None = None,
    ) -> list[Table]:
        table = self._table(columns, rows)
        if len(columns) == 1 or _fits(table, console, options):
            return [table]
        middle = len(columns) // 2
        return [
            *self._split(columns[:middle], console, options, rows),
            *self._split(columns[middle:], console, options, rows),
        ]

    def _table(self, columns: Sequence[Column], rows: Sequence[Row] | None = None) -> Table:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for column in (MODEL, *columns):
            words = column in (MODEL, NETWORK)
            table.add_column(
                Text(column[0]),
                justify="left" if words else "right",
                max_width=_WORDS if words else None,
                overflow="fold",
                style="bold" if column is F1 and self.summary.get("concepts") else None,
            )
        for row in self.summary["rows"] if rows is None else rows:
            table.add_row(*(Text(render(row)) for _, render in (MODEL, *columns)))
        return table


def _fits(table: Table, console: Console, options: ConsoleOptions) -> bool:
    widest = console.measure(table, options=options.update(width=_ANY)).maximum
    return widest <= options.max_width
