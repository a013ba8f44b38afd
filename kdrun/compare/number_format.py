"""Figures as tables and sentences have them."""

from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]
EAGER = "eager PyTorch"  # the runtime of times that are not marked


def compared(summary: Mapping[str, Any]) -> list[Row]:
    """The rows of steps of compression; after several, the last one against what all began with."""
    steps = [row for row in summary["rows"] if row.get("versus")]
    whole = [
        {**row, "model": f"all, over {row['overall']['baseline']}", "versus": row["overall"]}
        for row in steps
        if row.get("overall")
    ]
    return [*steps, *whole]


def count(number: float) -> str:
    """A number in three digits with its thousands as a letter: 1.23 M."""
    for unit in ("", "k", "M", "G", "T"):
        if abs(number) < 999.5 or unit == "T":
            break
        number /= 1000
    digits = f"{number:.0f}" if not unit or number >= 99.95 else f"{number:.3g}"
    return f"{digits} {unit}".strip()


def many(number: int, what: str) -> str:
    """So many of something: 1 run, 1,000 runs."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def milliseconds(time: float) -> str:
    return f"{time:.{3 if time < 0.1 else 2 if time < 10 else 1 if time < 100 else 0}f}"


def seconds(time: float) -> str:
    return f"{time:.{1 if time < 10 else 0}f}"


def nats(value: float) -> str:
    return f"{value:.3f}" if value < 1000 else f"{value:.1e}"


def share_or_none(share: float | None) -> str:
    return "-" if share is None else percent(share)


def percent(share: float) -> str:
    return f"{100 * share:.2f}"


def epochs_of(row: Row) -> str:
    """Epochs of training; those of phases before the main one are told apart: 30 + 240."""
    first = row.get("first_epochs", 0)
    return f"{first} + {row['epochs']}" if first else str(row["epochs"] or "")
