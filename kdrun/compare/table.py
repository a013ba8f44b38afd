"""One run's results as a table: a row a model."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]

_COLUMNS: list[tuple[str, Callable[[Row], str]]] = [
    ("top-1 %", lambda row: f"{_percent(row['accuracy'])} ±{_percent(row['accuracy_half_width'])}"),
    ("top-5 %", lambda row: _percent(row["top5"])),
    ("precision", lambda row: _percent(row["precision"])),
    ("recall", lambda row: _percent(row["recall"])),
    ("F1", lambda row: _percent(row["f1"])),
    ("NLL", lambda row: f"{row['nll']:.3f}"),
    ("ECE %", lambda row: _percent(row["ece"])),
    ("agree %", lambda row: _percent(row["agreement"])),
    ("params", lambda row: count(row["parameters"])),
    ("MACs", lambda row: count(row["macs"])),
    ("bytes", lambda row: count(row["bytes"])),
    ("ms", lambda row: f"{row['latency']['median_ms']:.2f}"),
    ("p95 ms", lambda row: f"{row['latency']['p95_ms']:.2f}"),
    ("train s", lambda row: "-" if row["seconds"] is None else f"{row['seconds']:.0f}"),
]


def results_table(summary: Mapping[str, Any]) -> Group:
    """The table of a run with its notes: on which samples, which epoch, timed how."""
    table = Table(title=f"test split of {summary['dataset']}, {summary['samples']} samples")
    table.add_column("model")
    for title, _ in _COLUMNS:
        table.add_column(title, justify="right")
    for row in summary["rows"]:
        cells = [Text(render(row)) for _, render in _COLUMNS]
        table.add_row(Text(f"{row['model']}\n{row['name']}"), *cells)
    return Group(table, *(Text(note) for note in _notes(summary)))


def _notes(summary: Mapping[str, Any]) -> list[str]:
    latency = summary["rows"][0]["latency"]
    notes = [_gain(row) for row in summary["rows"] if row.get("gain")]
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
    notes.append(
        f"Latency: batch {latency['batch']}, {latency['dtype']}, {latency['device']},"
        f" {latency['threads']} thread{'s' if latency['threads'] > 1 else ''}, eager PyTorch."
    )
    return notes


def _gain(row: Row) -> str:
    gain = row["gain"]
    low, high = 100 * gain["low"], 100 * gain["high"]
    verdict = "" if low > 0 or high < 0 else "; the interval holds 0: no evidence of a difference"
    return (
        f"{row['model']} over {gain['over']}: {100 * gain['accuracy']:+.2f} points,"
        f" 95 % interval {low:+.2f} to {high:+.2f} (one seed{verdict})."
    )


def count(number: float) -> str:
    """A number in three digits with its thousands as a letter: 1.23 M."""
    for unit in ("", "k", "M", "G"):
        if abs(number) < 1000 or unit == "G":
            break
        number /= 1000
    digits = f"{number:.0f}" if not unit or number >= 100 else f"{number:.3g}"
    return f"{digits} {unit}".strip()


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
