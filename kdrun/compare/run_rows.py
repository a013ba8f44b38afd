"""Reading rows of a run's results table, for tables and notes."""

from kdrun.core.number_format import many
from kdrun.core.records.summary import EAGER, Latency, Row, Summary


def step_rows(summary: Summary) -> list[Row]:
    """Return the rows of compression steps, then a row for all steps together.

    The last row compares the last model with the model before the first step; it is only there if
    there are two or more steps.
    """
    steps = [row for row in summary["rows"] if "versus" in row]
    all_steps = [
        Row({**row, "model": f"all, over {row['overall']['baseline']}", "versus": row["overall"]})
        for row in steps
        if "overall" in row
    ]
    return [*steps, *all_steps]


def epochs_text(row: Row) -> str:
    """Return the epochs of training, those of earlier phases separately: `30 + 240`."""
    first_epochs = row.get("first_epochs", 0)
    return f"{first_epochs} + {row['epochs']}" if first_epochs else str(row["epochs"] or "")


def runtime_of(latency: Latency) -> str:
    """Return the name of the software that ran the network, such as `onnxruntime`."""
    return latency.get("runtime", EAGER)


def timed_batch(latency: Latency) -> str:
    """Return the size of the timed batch in words: `batch 1`, `batch 1 of 16 tokens`."""
    tokens = latency.get("tokens")
    return f"batch {latency['batch']}" + (f" of {many(tokens, 'token')}" if tokens else "")
