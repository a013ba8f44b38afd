"""One run's results as a table: a row a model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

_ANY = 10_000  # columns: wider than any table
EAGER = "eager PyTorch"  # the runtime of times that are not marked
_WORDS = 20  # columns of a name; longer ones are folded

Row = Mapping[str, Any]

Column = tuple[str, Callable[[Row], str]]

_MODEL: Column = ("model", lambda row: row["model"])
_TOP1: Column = (
    "top-1\n%",
    lambda row: f"{_percent(row['accuracy'])} ±{_percent(row['accuracy_half_width'])}",
)
_F1: Column = ("F1\n%", lambda row: _percent(row["f1"]))
_NETWORK: Column = ("network", lambda row: row["name"])
_QUALITY: list[Column] = [
    _TOP1,
    ("top-5\n%", lambda row: _percent(row["top5"])),
    ("precision\n%", lambda row: _percent(row["precision"])),
    ("recall\n%", lambda row: _percent(row["recall"])),
    _F1,
    ("NLL\n", lambda row: _nats(row["nll"])),
    ("ECE\n%", lambda row: _percent(row["ece"])),
    ("agrees\n%", lambda row: _share(row["agreement"])),
]
_COST: list[Column] = [
    ("para-\nmeters", lambda row: count(row["parameters"])),
    ("MACs\n", lambda row: count(row["macs"])),
    ("disk\nbytes", lambda row: count(row["bytes"])),
    ("median\nms", lambda row: _time(row, "median_ms")),
    ("p95\nms", lambda row: _time(row, "p95_ms")),
    ("epochs\n", lambda row: _epochs(row) or "-"),
    ("trained\ns", lambda row: "-" if row["seconds"] is None else _seconds(row["seconds"])),
]
_STEP: list[Column] = [
    (
        "top-1\npoints",
        lambda row: "{:+.2f} ({:+.2f} to {:+.2f})".format(
            *(100 * row["versus"][key] for key in ("accuracy", "low", "high"))
        ),
    ),
    ("F1\npoints", lambda row: f"{100 * row['versus']['f1']:+.2f}"),
    ("agrees\n%", lambda row: _percent(row["versus"]["agreement"])),
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
        steps = [row for row in self.summary["rows"] if row.get("versus")]
        if steps:
            yield Text("each step of compression against the model before it")
            yield from self._split(_STEP, console, options, steps)
        for name, samples in (self.summary.get("domains") or {}).items():
            yield Text(f"test images of {name}, {samples} samples")
            yield from self._split(_of_domain(name), console, options)
        yield from (Text(note) for note in _notes(self.summary))

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


def _notes(summary: Mapping[str, Any]) -> list[str]:
    notes = [_gain(row) for row in summary["rows"] if row.get("gain")]
    notes += [
        f"On {name}: {_gain(figures)}"
        for row in summary["rows"]
        for name, figures in (row.get("domains") or {}).items()
        if figures.get("gain")
    ]
    rows = {row["model"]: row for row in summary["rows"]}
    notes += _concepts(summary, rows)
    if summary.get("labeled"):
        labeled, training = summary["labeled"]["labeled"], summary["labeled"]["training"]
        notes.append(
            f"{labeled} of {training} training samples are labeled; what has no teacher learned"
            " from these alone, in as many epochs of fewer steps."
        )
    notes += [*_weak_teacher(rows), *_other_budget(rows)]
    notes += [
        f"{name}, {one['group']} of validation ({one['chosen']} samples choose, {one['measured']}"
        f" are measured): {100 * one['mean']:+.2f} ± {100 * one['deviation']:.2f} points."
        for name, row in rows.items()
        for one in row.get("spread", ())
    ]
    notes += [
        f"{name} made nothing smaller or faster."
        for name, row in rows.items()
        if row.get("versus", {}).get("in_vain")
    ]
    notes.append(
        f"Weights of the {summary['epoch']} epoch. Macro precision, recall and F1; agreement with"
        " the teacher; ± and intervals are 95 %, from the number of test samples alone."
    )
    best = [
        f"{row['model']} {_percent(row['best']['accuracy'])} (epoch {row['best']['epoch']})"
        for row in summary["rows"]
        if row.get("best")
    ]
    if best:
        notes.append(f"Top-1 % at the best epoch by validation: {', '.join(best)}.")
    notes += _runtimes(rows)
    if summary.get("jobs", 1) > 1:
        notes.append(
            f"Times were taken while up to {summary['jobs']} jobs shared the machine; alone they"
            " are shorter."
        )
    if summary.get("inexact"):
        notes.append(f"Not exact: resumed with {'; '.join(summary['inexact'])}.")
    return notes


def _runtimes(rows: Mapping[str, Row]) -> list[str]:
    """How times were taken; of those that are marked, what they are held against."""
    latency = next(row["latency"] for row in rows.values() if row["latency"])
    told = (
        f"batch {latency['batch']}, {latency['dtype']}, {latency['device']},"
        f" {latency['threads']} thread{'s' if latency['threads'] > 1 else ''}"
    )
    notes = [f"Latency: {told}, {latency.get('runtime', EAGER)}."]
    for row in rows.values():
        before = (row.get("versus") or {}).get("latency_before")
        if before and before.get("runtime", EAGER) != EAGER:
            baseline = row["versus"]["baseline"]
            notes.append(
                f"* {row['model']} in {before['runtime']} on the {before['device']}, where"
                f" {baseline} takes {_milliseconds(before['median_ms'])} ms; batch"
                f" {before['batch']}, threads {before['threads']}."
            )
    return notes


def _concepts(summary: Mapping[str, Any], rows: Mapping[str, Row]) -> list[str]:
    """What the classes are, and the macro F1 that counts among them, where they are concepts."""
    concepts = summary.get("concepts")
    if not concepts:
        return []
    known = sum(len(classes) for classes in concepts.values())
    scores = ", ".join(f"{name} {_percent(row['f1'])}" for name, row in rows.items())
    return [
        f"Macro F1 % leads: {scores}, over {len(concepts)} concepts that join {known} classes.",
        "A model of all classes answers with their probabilities summed over each concept.",
    ]


def _gain(row: Row) -> str:
    gain = row["gain"]
    low, high = 100 * gain["low"], 100 * gain["high"]
    verdict = "" if low > 0 or high < 0 else "; the interval holds 0: no evidence of a difference"
    return (
        f"{row['model']} over {gain['over']}: {100 * gain['accuracy']:+.2f} points,"
        f" 95 % interval {low:+.2f} to {high:+.2f} (one seed{verdict})."
    )


def _weak_teacher(rows: Mapping[str, Row]) -> list[str]:
    """A warning where the student alone does better, beyond chance, than what it learns from."""
    if not {"alone", "teacher"} <= rows.keys():
        return []
    better = rows["alone"]["accuracy"] - rows["teacher"]["accuracy"]
    if better <= rows["teacher"]["accuracy_half_width"]:
        return []
    return [
        f"The teacher is {100 * better:.2f} points below the student alone: train it longer, or"
        " take another, before judging a method by it."
    ]


def _other_budget(rows: Mapping[str, Row]) -> list[str]:
    """A warning where one of the two students that are compared was trained for longer."""
    if not {"alone", "distilled"} <= rows.keys():
        return []
    alone, distilled = rows["alone"], rows["distilled"]
    own, other = distilled.get("steps"), alone.get("steps")
    if None in (own, other) or own == other:  # artefacts of an older kdrun don't say
        return []
    return [
        f"Not the same budget: the distilled student made {own} steps ({_epochs(distilled)}"
        f" epochs), alone {other} ({_epochs(alone)})."
    ]


def _epochs(row: Row) -> str:
    """Epochs of training; those of phases before the main one are told apart: 30 + 240."""
    first = row.get("first_epochs", 0)
    return f"{first} + {row['epochs']}" if first else str(row["epochs"] or "")


def count(number: float) -> str:
    """A number in three digits with its thousands as a letter: 1.23 M."""
    for unit in ("", "k", "M", "G", "T"):
        if abs(number) < 999.5 or unit == "T":
            break
        number /= 1000
    digits = f"{number:.0f}" if not unit or number >= 99.95 else f"{number:.3g}"
    return f"{digits} {unit}".strip()


def _time(row: Row, key: str) -> str:
    """Milliseconds, marked where they are of another runtime than PyTorch's own."""
    latency = row["latency"]
    if latency is None:
        return "-"
    mark = "*" if latency.get("runtime", EAGER) != EAGER else ""
    return f"{_milliseconds(latency[key])}{mark}"


def _faster(row: Row) -> str:
    faster, latency = row["versus"]["latency"], row["latency"]
    if faster is None:
        return "-"
    mark = "*" if latency.get("runtime", EAGER) != EAGER else ""
    return f"{faster:.2f}x{mark}"


def _milliseconds(time: float) -> str:
    return f"{time:.{2 if time < 10 else 1 if time < 100 else 0}f}"


def _seconds(time: float) -> str:
    return f"{time:.{1 if time < 10 else 0}f}"


def _nats(value: float) -> str:
    return f"{value:.3f}" if value < 1000 else f"{value:.1e}"


def _share(share: float | None) -> str:
    return "-" if share is None else _percent(share)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
