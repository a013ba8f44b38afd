"""The columns of a run's tables, for the terminal and for pages."""

from collections.abc import Callable
from dataclasses import replace

from kdrun.compare.columns import Column
from kdrun.compare.run_rows import epochs_text, runtime_of
from kdrun.core.metrics import AGREEMENT, COSTS, SCORES, Metric, leading
from kdrun.core.number_format import count, milliseconds, percent, seconds
from kdrun.core.records.summary import EAGER, Latency, Row, ScoredRow, Summary, score_of

MISSING = "-"
OTHER_RUNTIME = "*"  # marks latencies that were not measured in eager PyTorch


def _score_column(metric: Metric) -> Column:
    def text(row: ScoredRow) -> str:
        value = score_of(row, metric.name)
        if value is None:
            return MISSING
        half_width = score_of(row, f"{metric.name}_half_width")
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


def _gain_text(row: Row) -> str:
    gain = row["versus"]
    interval = f"{100 * gain['low']:+.2f} to {100 * gain['high']:+.2f}"
    return f"{100 * gain['accuracy']:+.2f} ({interval})"


def _speedup_text(row: Row) -> str:
    speedup, latency = row["versus"]["latency"], row["latency"]
    return (
        MISSING if speedup is None or latency is None else f"{speedup:.2f}x{_runtime_mark(latency)}"
    )


MODEL = Column("model", lambda row: row["model"], is_text=True)
NETWORK = Column("network", lambda row: row["name"], is_text=True)
SCORE_COLUMNS = {metric.name: _score_column(metric) for metric in (*SCORES.values(), AGREEMENT)}
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
STEP_COLUMNS: list[Column] = [
    Column("top-1\npoints", _gain_text),
    Column("F1\npoints", lambda row: f"{100 * row['versus']['f1']:+.2f}"),
    Column("agrees\n%", lambda row: percent(row["versus"]["agreement"])),
    Column("non-zero\nparameters", lambda row: count(row["nonzero"])),
    Column("MACs\nfewer", lambda row: f"{row['versus']['macs']:.2f}x"),
    Column("bytes\nfewer", lambda row: f"{row['versus']['bytes']:.2f}x"),
    Column("faster\n", _speedup_text),
]


def score_columns(summary: Summary) -> list[Column]:
    """Return the columns of the scores, the leading metric first.

    It is in bold where another metric than the usual one leads, as classes were merged.
    """
    metric = leading(merged=bool(summary.get("concepts")))
    first_column = SCORE_COLUMNS[metric.name]
    others = [column for column in SCORE_COLUMNS.values() if column is not first_column]
    return [first_column if metric == leading() else replace(first_column, bold=True), *others]


def domain_columns(name: str) -> list[Column]:
    """Return the columns of the scores on the test split of another domain."""

    def in_domain(text: Callable[[ScoredRow], str]) -> Callable[[Row], str]:
        return lambda row: text(row["domains"][name])

    return [replace(column, text=in_domain(column.text)) for column in SCORE_COLUMNS.values()]
