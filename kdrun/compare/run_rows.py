"""Rows of a run's results table, as tables and notes need them."""

from kdrun.core.records.summary import EAGER, Latency, Row, Summary


def step_rows(summary: Summary) -> list[Row]:
    """Return the rows of compression steps, then a row for all steps together.

    The last one stands for the comparison with the model before the first step, where there are
    two steps or more.
    """
    steps = [row for row in summary["rows"] if "versus" in row]
    together = [
        Row({**row, "model": f"all, over {row['overall']['baseline']}", "versus": row["overall"]})
        for row in steps
        if "overall" in row
    ]
    return [*steps, *together]


def epochs_text(row: Row) -> str:
    """Return the epochs of training; earlier phases are listed separately: `30 + 240`."""
    first = row.get("first_epochs", 0)
    return f"{first} + {row['epochs']}" if first else str(row["epochs"] or "")


def runtime_of(latency: Latency) -> str:
    """Return what ran the network that was timed."""
    return latency.get("runtime", EAGER)
