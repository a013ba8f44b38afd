"""One run's results as a table: a row a model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from kdrun.compare.figures import (
    EAGER,
    Row,
    compared,
    count,
    epochs_of,
    milliseconds,
    nats,
    percent,
    seconds,
    share_or_none,
)
from kdrun.compare.notes import notes_of

_ANY = 10_000  # columns: wider than any table
_WORDS = 20  # columns of a name; longer ones are folded

Column = tuple[str, Callable[[Row], str]]

_MODEL: Column = ("model", lambda row: row["model"])
_TOP1: Column = (
    "top-1\n%",
    lambda row: f"{percent(row['accuracy'])} ±{percent(row['accuracy_half_width'])}",
)
_F1: Column = ("F1\n%", lambda row: percent(row["f1"]))
_NETWORK: Column = ("network", lambda row: row["name"])
_QUALITY: list[Column] = [
    _TOP1,
    ("top-5\n%", lambda row: percent(row["top5"])),
    ("precision\n%", lambda row: percent(row["precision"])),
    ("recall\n%", lambda row: percent(row["recall"])),
    _F1,
    ("NLL\n", lambda row: nats(row["nll"])),
    ("ECE\n%", lambda row: percent(row["ece"])),
    ("agrees\n%", lambda row: share_or_none(row["agreement"])),
]
_COST: list[Column] = [
    ("para-\nmeters", lambda row: count(row["parameters"])),
    ("MACs\n", lambda row: count(row["macs"])),
    ("disk\nbytes", lambda row: count(row["bytes"])),
    ("median\nms", lambda row: _time(row, "median_ms")),
    ("p95\nms", lambda row: _time(row, "p95_ms")),
    ("epochs\n", lambda row: epochs_of(row) or "-"),
    ("trained\ns", lambda row: "-" if row["seconds"] is None else seconds(row["seconds"])),
]
_STEP: list[Column] = [
    (
        "top-1\npoints",
        lambda row: "{:+.2f} ({:+.2f} to {:+.2f})".format(
            *(100 * row["versus"][key] for key in ("accuracy", "low", "high"))
        ),
    ),
    ("F1\npoints", lambda row: f"{100 * row['versus']['f1']:+.2f}"),
    ("agrees\n%", lambda row: percent(row["versus"]["agreement"])),
    ("non-zero\nparameters", lambda row: count(row["nonzero"])),
    ("MACs\nfewer", lambda row: f"{row['versus']['macs']:.2f}x"),
    ("bytes\nfewer", lambda row: f"{row['versus']['bytes']:.2f}x"),
    ("faster\n", lambda row: _faster(row)),
]


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
        quality = _quality(self.summary)
        whole = self._table([_NETWORK, *quality, *_COST])
        if _fits(whole, console, options):
            yield whole
        else:
            yield from self._split(quality, console, options)
            yield from self._split([_NETWORK, *_COST], console, options)
        steps = compared(self.summary)
        if steps:
            yield Text("each step of compression against the model before it")
            yield from self._split(_STEP, console, options, steps)
        for name, samples in (self.summary.get("domains") or {}).items():
            yield Text(f"test images of {name}, {samples} samples")
            yield from self._split(_of_domain(name), console, options)
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
        for column in (_MODEL, *columns):
            words = column in (_MODEL, _NETWORK)
            table.add_column(
                Text(column[0]),
                justify="left" if words else "right",
                max_width=_WORDS if words else None,
                overflow="fold",
                style="bold" if column is _F1 and self.summary.get("concepts") else None,
            )
        for row in self.summary["rows"] if rows is None else rows:
            table.add_row(*(Text(render(row)) for _, render in (_MODEL, *columns)))
        return table


def _quality(summary: Mapping[str, Any]) -> list[Column]:
    """The figures of the answers; macro F1 leads where classes were merged into concepts."""
    if not summary.get("concepts"):
        return _QUALITY
    return [_F1, *(column for column in _QUALITY if column is not _F1)]


def _of_domain(name: str) -> list[Column]:
    """The figures of the answers to images of another kind."""

    def of(render: Callable[[Row], str]) -> Callable[[Row], str]:
        return lambda row: render(row["domains"][name])

    return [(title, of(render)) for title, render in _QUALITY]


def _fits(table: Table, console: Console, options: ConsoleOptions) -> bool:
    widest = console.measure(table, options=options.update(width=_ANY)).maximum
    return widest <= options.max_width


def _time(row: Row, key: str) -> str:
    """Milliseconds, marked where they are of another runtime than PyTorch's own."""
    latency = row["latency"]
    if latency is None:
        return "-"
    mark = "*" if latency.get("runtime", EAGER) != EAGER else ""
    return f"{milliseconds(latency[key])}{mark}"


def _faster(row: Row) -> str:
    faster, latency = row["versus"]["latency"], row["latency"]
    if faster is None:
        return "-"
    mark = "*" if latency.get("runtime", EAGER) != EAGER else ""
    return f"{faster:.2f}x{mark}"
