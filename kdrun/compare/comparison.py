"""The comparison of runs that the terminal, files and the report show."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.choice import Choice, choose
from kdrun.compare.comparison_notes import comparison_notes
from kdrun.compare.gather import Gathered, LeftOut, Run
from kdrun.compare.keys import sort_key
from kdrun.compare.marginal import MarginalMeans, marginal
from kdrun.compare.metrics import BEST, LAST, RowMetrics, leading_at
from kdrun.compare.pairings import run_tests
from kdrun.compare.query import Query, resolve_query
from kdrun.compare.seed_means import TableLine, metrics_of_settings, table_lines
from kdrun.compare.settings import Group, Setting, group
from kdrun.compare.test_results import SignificanceTest
from kdrun.core.folder import STUDENT_ROW


@dataclass(frozen=True)
class ComparisonTable:
    """A table of settings whose results are comparable.

    A setting is a set of runs that differ in the seed alone.

    Attributes:
        number: the number of the table, from 1.
        reasons: sentences that say why the results aren't comparable with those of table 1.
        differing: the config keys in which the settings differ.
        settings: the settings, sorted by their values or as the query asks.
        judged: for each setting, the line of the model that it is judged by.
        lines: the lines of the table, one for each model.
        metrics: the metrics of the task, by name.
        metric: the name of the metric that is compared.
        choice: the setting that validation chose; None where all settings share one model, or
            there is only one setting.
        results: the results of significance tests.
        marginal: the means by one key, if the query asks for them.
        notes: sentences on how the numbers came about.
    """

    number: int
    reasons: Sequence[str]
    differing: Sequence[str]
    settings: Sequence[Setting]
    judged: Sequence[TableLine]
    lines: Sequence[TableLine]
    metrics: RowMetrics
    metric: str
    choice: Choice | None
    results: Sequence[SignificanceTest]
    marginal: MarginalMeans | None
    notes: Sequence[str]


@dataclass(frozen=True)
class Comparison:
    """A comparison of runs.

    Attributes:
        runs: the runs in the tables.
        tables: the tables, the largest first; one for each group of comparable settings.
        left_out: the runs that are in no table, and why.
    """

    runs: Sequence[Run]
    tables: Sequence[ComparisonTable]
    left_out: Sequence[LeftOut]


def compare(gathered: Gathered, query: Query = Query()) -> Comparison:  # noqa: B008 - frozen
    """Compare runs.

    Raises:
        UserError: the runs have no such key, value, row or metric.
    """
    query, runs = resolve_query(query, gathered.runs)
    groups, repeated = group(runs, query.keys)
    tables = [_table(number, settings, query) for number, settings in enumerate(groups, 1)]
    compared_runs = [
        run for table in groups for setting in table.settings for run in setting.runs.values()
    ]
    return Comparison(compared_runs, tables, [*gathered.left_out, *repeated])


def _table(number: int, group: Group, query: Query) -> ComparisonTable:
    metrics = metrics_of_settings(group.settings)
    metric = query.metric if query.metric in metrics else _leading_metric(group.settings)
    settings = [setting for setting in group.settings if judged_row(setting, query.model)]
    lines, judged = _lines(group.settings, settings, metric, query.model)
    if query.sort:
        settings = _sorted(settings, judged, query.sort)
        lines, judged = _lines(settings, settings, metric, query.model)
    choice = choose(settings, judged, metric) if len({*map(id, judged)}) > 1 else None
    is_tested = metrics[metric].split == "test"  # neither costs nor the scores on validation
    results = (
        run_tests(settings, judged, lines, metrics[metric], choice, query) if is_tested else []
    )
    marginal_means = marginal(query.by, settings, judged, metric) if query.by else None
    return ComparisonTable(
        number=number,
        reasons=group.reasons,
        differing=group.differing,
        settings=settings,
        judged=judged,
        lines=lines,
        metrics=metrics,
        metric=metric,
        choice=choice,
        results=results,
        marginal=marginal_means,
        notes=comparison_notes(
            settings, lines, metric, results, query, has_marginal=marginal_means is not None
        ),
    )


def _leading_metric(settings: Sequence[Setting]) -> str:
    """Return the name of the leading metric.

    It is that of the last epoch if all runs report the weights of the last epoch, else of the best.
    """
    runs = [run for setting in settings for run in setting.runs.values()]
    all_report_last = all(run.summary["epoch"] == LAST for run in runs)
    metrics = metrics_of_settings(settings)
    return leading_at(metrics, LAST if all_report_last else BEST).name


def judged_row(setting: Setting, model: str) -> str:
    """Return the row that a setting is judged by: the last compression step, else the student.

    Args:
        setting: the setting.
        model: the row that the query names instead; empty if it names none.

    Returns:
        The name of the row; an empty text where no run has the row that the query names.
    """
    rows = {model: row for run in setting.runs.values() for model, row in run.rows.items()}
    if model:
        return model if model in rows else ""
    steps = [model for model, row in rows.items() if row.get("versus")]
    return steps[-1] if steps else STUDENT_ROW if STUDENT_ROW in rows else list(rows)[-1]


def _lines(
    shown: Sequence[Setting], judged: Sequence[Setting], metric: str, query_model: str
) -> tuple[list[TableLine], list[TableLine]]:
    """Return the table's lines, and the lines that settings are judged by.

    Args:
        shown: the settings that the table shows.
        judged: those of them that have a model to be judged by.
        metric: the name of the metric that is compared.
        query_model: the row that the query names to judge by; empty if it names none.

    Returns:
        All lines, and for each setting in `judged` its line.
    """
    is_score = metrics_of_settings(shown)[metric].split
    lines = table_lines(shown, metric if is_score else _leading_metric(shown))
    line_of = {(id(setting), line.model): line for line in lines for setting in line.settings}
    return lines, [line_of[id(setting), judged_row(setting, query_model)] for setting in judged]


def _sorted(settings: Sequence[Setting], judged: Sequence[TableLine], by: str) -> list[Setting]:
    """Return settings sorted by a key, or by a metric: the best first, those without it last."""
    metrics = metrics_of_settings(settings)
    if by not in metrics:
        return sorted(settings, key=lambda setting: sort_key(setting.config.get(by)))
    sign = -1 if metrics[by].better == "more" else 1

    def order(index: int) -> float:
        estimate = judged[index].estimates.get(by)
        return float("inf") if estimate is None else sign * estimate.mean

    return [settings[index] for index in sorted(range(len(settings)), key=order)]
