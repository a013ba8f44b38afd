"""The columns of a run's tables, for the terminal and for pages."""

from collections.abc import Callable
from dataclasses import replace

from kdrun.compare.columns import Column
from kdrun.compare.run_rows import epochs_text, runtime_of
from kdrun.core.metrics import AGREEMENT, COSTS, Metric
from kdrun.core.number_format import count, milliseconds, percent, seconds
from kdrun.core.records.summary import (
    EAGER,
    Latency,
    Row,
    ScoredRow,
    Summary,
    difference_of,
    half_width_key,
    score_of,
)
from kdrun.task import task_of

MISSING = "-"
OTHER_RUNTIME = "*"  # marks latencies that were not measured in eager PyTorch


def _score_column(metric: Metric) -> Column:
    def text(row: ScoredRow) -> str:
        value = score_of(row, metric.name)
        if value is None:
            return MISSING
        half_width = score_of(row, half_width_key(metric.name))
        plus_minus = "" if half_width is None else f" ±{metric.unit.text(half_width)}"
        return f"{metric.unit.text(value)}{plus_minus}"

    return Column(metric.title, text)


def _latency_column(title: str, read: Callable[[Latency], float]) -> Column:
    def text(row: Row) -> str:
        latency = row["latency"]
        return (
            MISSING if latency is None else f"{milliseconds(read(latency))}{_runtime_mark(latency)}"
        )

    return Column(title, text)


def _runtime_mark(latency: Latency) -> str:
    return OTHER_RUNTIME if runtime_of(latency) != EAGER else ""


def _gain_column(metric: Metric) -> Column:
    def text(row: Row) -> str:
        step = row["versus"]
        interval = f"{metric.change_text(step['low'])} to {metric.change_text(step['high'])}"
        return f"{metric.change_text(difference_of(step))} ({interval})"

    return Column(_change_title(metric), text)


def _change_title(metric: Metric) -> str:
    """Return a title such as `top-1`, and the unit of differences below it."""
    return f"{metric.title.partition(chr(10))[0]}\n{metric.unit.name}"


def _speedup_text(row: Row) -> str:
    speedup, latency = row["versus"]["latency"], row["latency"]
    return (
        MISSING if speedup is None or latency is None else f"{speedup:.2f}x{_runtime_mark(latency)}"
    )


MODEL = Column("model", lambda row: row["model"], is_text=True)
NETWORK = Column("network", lambda row: row["name"], is_text=True)
COST_COLUMNS: list[Column] = [
    Column(COSTS["parameters"].title, lambda row: count(row["parameters"])),
    Column(COSTS["macs"].title, lambda row: count(row["macs"])),
    Column(COSTS["bytes"].title, lambda row: count(row["bytes"])),
    _latency_column(COSTS["latency"].title, lambda latency: latency["median_ms"]),
    _latency_column("p95\nms", lambda latency: latency["p95_ms"]),
    Column("epochs\n", lambda row: epochs_text(row) or MISSING),
    Column(
        "trained\ns", lambda row: MISSING if row["seconds"] is None else seconds(row["seconds"])
    ),
]
_STEP_COLUMNS: list[Column] = [
    Column("agrees\n%", lambda row: percent(row["versus"]["agreement"])),
    Column("non-zero\nparameters", lambda row: count(row["nonzero"])),
    Column("MACs\nfewer", lambda row: f"{row['versus']['macs']:.2f}x"),
    Column("bytes\nfewer", lambda row: f"{row['versus']['bytes']:.2f}x"),
    Column("faster\n", _speedup_text),
]


def step_columns(summary: Summary) -> list[Column]:
    """Return the columns of steps of compression, each compared with the model before it."""
    task = task_of(summary)
    changes = [_gain_column(task.leading())]
    merged = task.leading(merged=True)
    if merged != task.leading():
        changes.append(
            Column(
                _change_title(merged), lambda row: merged.change_text(row["versus"][merged.name])
            )
        )
    return [*changes, *_STEP_COLUMNS]


def score_columns(summary: Summary) -> list[Column]:
    """Return the columns of the scores, the leading metric first.

    It is in bold where another metric than the usual one leads, as classes were merged.
    """
    task = task_of(summary)
    metric = task.leading(merged=bool(summary.get("concepts")))
    columns = _score_columns(summary)
    first_column = columns.pop(metric.name)
    if metric != task.leading():
        first_column = replace(first_column, bold=True)
    return [first_column, *columns.values()]


def _score_columns(summary: Summary) -> dict[str, Column]:
    """Return the columns of the scores by name, without those that no row has."""
    metrics = (*task_of(summary).scores.values(), AGREEMENT)
    return {
        metric.name: _score_column(metric)
        for metric in metrics
        if any(metric.name in row for row in summary["rows"])
    }


def domain_columns(summary: Summary, name: str) -> list[Column]:
    """Return the columns of the scores on the test split of another domain."""

    def in_domain(text: Callable[[ScoredRow], str]) -> Callable[[Row], str]:
        return lambda row: text(row["domains"][name])

    columns = _score_columns(summary).values()
    return [replace(column, text=in_domain(column.text)) for column in columns]
