"""The columns of a comparison's tables, for the terminal, Markdown, LaTeX and the report."""

from collections.abc import Callable, Mapping
from typing import Any

from kdrun.compare.columns import Column
from kdrun.compare.comparison import ComparisonTable
from kdrun.compare.keys import short_key, value_text
from kdrun.compare.marginal import MarginalMeans
from kdrun.compare.metrics import METRICS
from kdrun.compare.run_columns import MISSING, OTHER_RUNTIME
from kdrun.compare.seed_means import COSTS, TableLine
from kdrun.compare.statistics import Estimate
from kdrun.compare.test_results import SignificanceTest, p_text
from kdrun.core.records.summary import EAGER

ON_PARETO_FRONT = "^"

_Estimates = Callable[[Any], Mapping[str, Estimate]]  # item of a table -> metric -> estimate


def identifying_columns(table: ComparisonTable) -> list[Column]:
    """Return the columns that distinguish lines: the model, and the config keys that differ."""
    model = Column("model", lambda line: line.model, words=True)
    return [model, *(_key_column(key) for key in table.differing)]


def _key_column(key: str) -> Column:
    def text(line: TableLine) -> str:
        if key in line.values:
            return value_text(line.values[key])
        return "" if len(line.settings) > 1 else MISSING  # several settings: several values

    return Column(short_key(key), text, words=True)


def metric_columns(table: ComparisonTable) -> list[Column]:
    """Return the columns of metrics: the compared one with deviation and interval, then others."""
    measured = {name for line in table.lines for name in line.estimates}
    others = [name for name in METRICS if name in measured and name != table.metric]
    return [
        Column("n\nseeds", lambda line: str(len(line.rows))),
        *_mean_deviation_interval(table.metric, lambda line: line.estimates),
        *(_mean_with_deviation(name) for name in others),
    ]


def marginal_columns(
    marginal: MarginalMeans, metric: str
) -> tuple[list[Column], list[tuple[Any, Mapping[str, Estimate]]]]:
    """Return the columns of the table of one key, and its items: each value with its estimates."""
    common = [name for name in METRICS if all(name in means for means in marginal.estimates)]
    columns = [
        Column(short_key(marginal.key), lambda item: value_text(item[0]), words=True),
        *_mean_deviation_interval(metric, lambda item: item[1]),
        *(_mean(name, lambda item: item[1]) for name in common if name != metric),
    ]
    return columns, list(zip(marginal.values, marginal.estimates, strict=True))


def significance_columns() -> list[Column]:
    """Return the columns of a table of significance tests."""
    return [
        Column("this", lambda test: test.left, words=True),
        Column("against", lambda test: test.right, words=True),
        Column("difference\n", lambda test: test.amount),
        Column("95 %\ninterval", lambda test: test.interval_text(test.interval)),
        Column("bootstrap\n95 %", lambda test: test.interval_text(test.drawn)),
        Column("pairs\n", _pairs),
        Column("p\n", lambda test: p_text(test.p)),
        Column("p\nHolm", lambda test: p_text(test.p_of_all)),
    ]


def _pairs(test: SignificanceTest) -> str:
    """Return how many pairs were tested, `3 seeds`; or the sizes of two unpaired samples."""
    if not test.test:
        return MISSING
    left, right = test.counts
    return f"{left} {test.pairs}" if test.pairs else f"{left}, {right}"


def _mean_deviation_interval(metric: str, estimates: _Estimates) -> list[Column]:
    """Return the columns of a metric's mean, standard deviation and interval.

    A cost is counted rather than estimated, and has the mean alone.
    """
    row_metric = METRICS[metric]
    if not row_metric.split:
        return [_mean(metric, estimates)]

    def deviation(estimate: Estimate) -> str:
        return MISSING if estimate.deviation is None else row_metric.text(estimate.deviation)

    def interval(estimate: Estimate) -> str:
        if estimate.low is None or estimate.high is None:
            return MISSING
        return row_metric.interval_text(estimate.low, estimate.high)

    return [
        _mean(metric, estimates),
        Column("sd\n", _estimate_text(metric, estimates, deviation)),
        Column("95 %\ninterval", _estimate_text(metric, estimates, interval)),
    ]


def _mean(metric: str, estimates: _Estimates) -> Column:
    row_metric = METRICS[metric]
    text = _estimate_text(metric, estimates, lambda estimate: row_metric.text(estimate.mean))
    return Column(row_metric.title, text)


def _mean_with_deviation(metric: str) -> Column:
    """Return a column such as `93.20 (0.31)`, with the marks of runtime and Pareto front."""
    row_metric = METRICS[metric]

    def text(line: TableLine) -> str:
        estimate = line.estimates.get(metric)
        if estimate is None:
            return MISSING
        cell = row_metric.text(estimate.mean)
        if row_metric.split and estimate.deviation is not None:
            cell += f" ({row_metric.text(estimate.deviation)})"
        if metric == "latency" and line.runtime not in ("", EAGER):
            cell += OTHER_RUNTIME
        return cell + (ON_PARETO_FRONT if metric in COSTS and metric in line.fronts else "")

    return Column(row_metric.title, text)


def _estimate_text(
    metric: str, estimates: _Estimates, text: Callable[[Estimate], str]
) -> Callable[[Any], str]:
    """Return a function from an item of a table to the text of its estimate."""

    def cell(item: Any) -> str:
        estimate = estimates(item).get(metric)
        return MISSING if estimate is None else text(estimate)

    return cell
