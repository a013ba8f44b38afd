"""The columns of a comparison's tables, as the terminal, Markdown and LaTeX have them."""

from collections.abc import Callable
from typing import Any

from kdrun.compare.columns import Column
from kdrun.compare.comparison import ComparisonTable
from kdrun.compare.keys import short_key, value_text
from kdrun.compare.marginal import MarginalMeans
from kdrun.compare.metrics import METRICS
from kdrun.compare.seed_means import COSTS, TableLine
from kdrun.compare.statistics import Estimate
from kdrun.compare.test_results import SignificanceTest, p_text
from kdrun.core.records.summary import EAGER

ON_FRONT, OTHER_RUNTIME, MISSING = "^", "*", "-"

_Estimates = Callable[[Any], Any]  # of a row: metric -> estimate


def identifying_columns(family: ComparisonTable) -> list[Column]:
    """The columns that tell a line from others: its model, and the keys that differ."""
    model = Column("model", lambda line: line.model, words=True)
    return [model, *(_of_key(key) for key in family.differing)]


def _of_key(key: str) -> Column:
    def text(line: TableLine) -> str:
        if key in line.values:
            return value_text(line.values[key])
        return "" if len(line.settings) > 1 else MISSING

    return Column(short_key(key), text, words=True)


def metric_columns(family: ComparisonTable) -> list[Column]:
    """The figures of lines: that which is compared first, with all that is known of its mean."""
    known = {name for line in family.lines for name in line.estimates}
    others = [name for name in METRICS if name in known and name != family.metric]
    return [
        Column("n\nseeds", lambda line: str(len(line.rows))),
        *_whole(family.metric, lambda line: line.estimates),
        *(_short(name) for name in others),
    ]


def marginal_columns(found: MarginalMeans, metric: str) -> tuple[list[Column], list[int]]:
    """The columns of a table by one key, and its rows: the numbers of the values."""
    known = [name for name in METRICS if all(name in one for one in found.estimates)]
    others = [name for name in known if name != metric]
    columns = [
        Column(short_key(found.key), lambda at: value_text(found.values[at]), words=True),
        *_whole(metric, lambda at: found.estimates[at]),
        *(_mean(name, lambda at: found.estimates[at]) for name in others),
    ]
    return columns, list(range(len(found.values)))


def significance_columns() -> list[Column]:
    """The columns of a table of tests."""
    return [
        Column("this", lambda result: result.left, words=True),
        Column("against", lambda result: result.right, words=True),
        Column("difference\n", lambda result: result.amount),
        Column("95 %\ninterval", lambda result: result.between(result.interval)),
        Column("bootstrap\n95 %", lambda result: result.between(result.drawn)),
        Column("pairs\n", _pairs),
        Column("p\n", lambda result: p_text(result.p)),
        Column("p\nHolm", lambda result: p_text(result.p_of_all)),
    ]


def _pairs(result: SignificanceTest) -> str:
    if not result.test:
        return MISSING
    own, other = result.counts
    return f"{own} {result.pairs}" if result.pairs else f"{own}, {other}"


def _whole(metric: str, estimates: _Estimates) -> list[Column]:
    """The mean, the deviation and the interval of a metric; of what is counted the mean alone."""
    one = METRICS[metric]
    if not one.split:
        return [_mean(metric, estimates)]

    def deviation(found: Estimate) -> str:
        return MISSING if found.deviation is None else one.text(found.deviation)

    def interval(found: Estimate) -> str:
        if found.low is None or found.high is None:
            return MISSING
        return one.interval_text(found.low, found.high)

    return [
        _mean(metric, estimates),
        Column("sd\n", _over(metric, estimates, deviation)),
        Column("95 %\ninterval", _over(metric, estimates, interval)),
    ]


def _mean(metric: str, estimates: _Estimates) -> Column:
    one = METRICS[metric]
    return Column(one.title, _over(metric, estimates, lambda found: one.text(found.mean)))


def _short(metric: str) -> Column:
    """The mean of a metric and its deviation; of what is not drawn from samples the mean alone."""
    one = METRICS[metric]

    def text(line: TableLine) -> str:
        found = line.estimates.get(metric)
        if found is None:
            return MISSING
        told = one.text(found.mean)
        if one.split and found.deviation is not None:
            told += f" ({one.text(found.deviation)})"
        if metric == "latency" and line.runtime not in ("", EAGER):
            told += OTHER_RUNTIME
        return told + (ON_FRONT if metric in COSTS and metric in line.fronts else "")

    return Column(one.title, text)


def _over(
    metric: str, estimates: _Estimates, text: Callable[[Estimate], str]
) -> Callable[[Any], str]:
    def of(row: Any) -> str:
        found = estimates(row).get(metric)
        return MISSING if found is None else text(found)

    return of
