"""The columns of a comparison's tables, for the terminal, Markdown, LaTeX and the report.

A line of the main table is a `TableLine`: the means of one model over the seeds of its settings.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from kdrun.compare.columns import Column
from kdrun.compare.comparison import ComparisonTable
from kdrun.compare.keys import short_key, value_text
from kdrun.compare.marginal import MarginalMeans
from kdrun.compare.metrics import RowMetric, RowMetrics
from kdrun.compare.run_columns import MISSING, OTHER_RUNTIME
from kdrun.compare.seed_means import FRONT_COSTS, TableLine
from kdrun.compare.statistics import Estimate
from kdrun.compare.test_results import SignificanceTest, p_text
from kdrun.core.records.summary import EAGER

ON_PARETO_FRONT = "^"  # marks costs by which a model is on the Pareto front


class MarginalLine(NamedTuple):
    """A line of the table of marginal means.

    Attributes:
        value: a value of the config key.
        estimates: metric -> mean for this value.
    """

    value: Any
    estimates: Mapping[str, Estimate]


def identifying_columns(table: ComparisonTable) -> list[Column]:
    """Return the columns that distinguish lines: the model, and the config keys that differ."""
    model = Column("model", lambda line: line.model, is_text=True)
    return [model, *(_key_column(key) for key in table.differing)]


def _key_column(key: str) -> Column:
    """Return the column of a config key; empty for a line whose settings have different values."""

    def text(line: TableLine) -> str:
        if key in line.values:
            return value_text(line.values[key])
        return "" if len(line.settings) > 1 else MISSING

    return Column(short_key(key), text, is_text=True)


def metric_columns(table: ComparisonTable) -> list[Column]:
    """Return the columns of metrics: the compared one with deviation and interval, then others."""
    measured = {name for line in table.lines for name in line.estimates}
    others = [
        metric
        for name, metric in table.metrics.items()
        if name in measured and name != table.metric
    ]
    return [
        Column("n\nseeds", lambda line: str(len(line.rows))),
        *_mean_deviation_interval(table.metrics[table.metric]),
        *(_mean_with_deviation(metric) for metric in others),
    ]


def marginal_columns(
    marginal: MarginalMeans, metrics: RowMetrics, metric: str
) -> tuple[list[Column], list[MarginalLine]]:
    """Return the columns and the lines of the table of marginal means.

    Args:
        marginal: the means by one key.
        metrics: the metrics of the table, by name.
        metric: the name of the metric that is compared.
    """
    common = [name for name in metrics if all(name in means for means in marginal.estimates)]
    columns = [
        Column(short_key(marginal.key), lambda line: value_text(line.value), is_text=True),
        *_mean_deviation_interval(metrics[metric]),
        *(_mean(metrics[name]) for name in common if name != metric),
    ]
    lines = zip(marginal.values, marginal.estimates, strict=True)
    return columns, [MarginalLine(value, estimates) for value, estimates in lines]


def significance_columns() -> list[Column]:
    """Return the columns of a table of significance tests."""
    return [
        Column("this", lambda test: test.left, is_text=True),
        Column("against", lambda test: test.right, is_text=True),
        Column("difference\n", lambda test: test.difference_text),
        Column("95 %\ninterval", lambda test: test.interval_text(test.interval)),
        Column("bootstrap\n95 %", lambda test: test.interval_text(test.drawn)),
        Column("pairs\n", _sample_sizes),
        Column("p\n", lambda test: p_text(test.p)),
        Column("p\nHolm", lambda test: p_text(test.p_of_all)),
    ]


def _sample_sizes(test: SignificanceTest) -> str:
    """Return the number of pairs, such as `3 seeds`, or the sizes of two unpaired samples."""
    if not test.test:  # no test could be made
        return MISSING
    left, right = test.counts
    return f"{left} {test.pairs}" if test.pairs else f"{left}, {right}"


def _mean_deviation_interval(metric: RowMetric) -> list[Column]:
    """Return the columns of a metric's mean, standard deviation and interval.

    Costs are counted rather than estimated from samples, so they get the column of the mean alone.
    """
    if not metric.split:  # a cost
        return [_mean(metric)]

    def deviation(estimate: Estimate) -> str:
        return MISSING if estimate.deviation is None else metric.text(estimate.deviation)

    def interval(estimate: Estimate) -> str:
        return metric.interval_text(*estimate.interval) if estimate.interval else MISSING

    return [
        _mean(metric),
        _estimate_column("sd\n", metric.name, deviation),
        _estimate_column("95 %\ninterval", metric.name, interval),
    ]


def _mean(metric: RowMetric) -> Column:
    return _estimate_column(metric.title, metric.name, lambda estimate: metric.text(estimate.mean))


def _mean_with_deviation(metric: RowMetric) -> Column:
    """Return a column such as `93.20 (0.31)`, with the marks of runtime and Pareto front."""
    name = metric.name

    def text(line: TableLine) -> str:
        estimate = line.estimates.get(name)
        if estimate is None:
            return MISSING
        cell = metric.text(estimate.mean)
        if metric.split and estimate.deviation is not None:
            cell += f" ({metric.text(estimate.deviation)})"
        if name == "latency" and line.runtime not in ("", EAGER):
            cell += OTHER_RUNTIME
        return cell + (ON_PARETO_FRONT if name in FRONT_COSTS and name in line.fronts else "")

    return Column(metric.title, text)


def _estimate_column(title: str, name: str, text: Callable[[Estimate], str]) -> Column:
    """Return a column that formats each line's estimate of a metric by `text`."""

    def cell(line: TableLine | MarginalLine) -> str:
        estimate = line.estimates.get(name)
        return MISSING if estimate is None else text(estimate)

    return Column(title, cell)
