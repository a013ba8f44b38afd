"""A comparison of runs, as the terminal, files and the report show it."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.choice import Choice, choose
from kdrun.compare.comparison_notes import comparison_notes
from kdrun.compare.gather import Gathered, LeftOut, Run
from kdrun.compare.keys import sort_key
from kdrun.compare.marginal import MarginalMeans, marginal
from kdrun.compare.metrics import BEST, LAST, METRICS, leading_at
from kdrun.compare.pairings import run_tests
from kdrun.compare.query import Query, resolve_query
from kdrun.compare.seed_means import TableLine, table_lines
from kdrun.compare.settings import Group, Setting, group
from kdrun.compare.test_results import SignificanceTest

_STUDENT = "distilled"


@dataclass(frozen=True)
class ComparisonTable:
    """A table of settings that compare.

    Attributes:
        number: of the table, from 1.
        reasons: why it doesn't compare with table 1, in sentences.
        differing: the keys in which its settings differ.
        settings: sorted by their values, or as the query says.
        judged: for each setting, the line of the model that it is judged by.
        lines: of the table.
        metric: the name of the metric that is compared.
        choice: of a setting, on validation; None where there is only one, or all share one model.
        results: of significance tests.
        marginal: means by one key, if the query asks for it.
        notes: on how the numbers came about, in sentences.
    """

    number: int
    reasons: Sequence[str]
    differing: Sequence[str]
    settings: Sequence[Setting]
    judged: Sequence[TableLine]
    lines: Sequence[TableLine]
    metric: str
    choice: Choice | None
    results: Sequence[SignificanceTest]
    marginal: MarginalMeans | None
    notes: Sequence[str]


@dataclass(frozen=True)
class Comparison:
    """A comparison of runs.

    Attributes:
        runs: that are in a table.
        families: the tables, the largest first.
        left_out: runs that are in no table, and why.
    """

    runs: Sequence[Run]
    families: Sequence[ComparisonTable]
    left_out: Sequence[LeftOut]


def compare(gathered: Gathered, query: Query = Query()) -> Comparison:  # noqa: B008 - frozen
    """Compare runs.

    Raises:
        UserError: the runs have no such key, value, row or metric.
    """
    query, runs = resolve_query(query, gathered.runs)
    groups, repeated = group(runs, query.keys)
    families = [_family(number, compared, query) for number, compared in enumerate(groups, 1)]
    counted = [
        run for compared in groups for setting in compared.settings for run in setting.runs.values()
    ]
    return Comparison(counted, families, [*gathered.left_out, *repeated])


def _family(number: int, group: Group, query: Query) -> ComparisonTable:
    metric = query.metric or _leading_of(group.settings)
    settings = [setting for setting in group.settings if judged_row(setting, query.model)]
    lines, judged = _lines(group.settings, settings, metric, query.model)
    if query.sort:
        settings = _sorted(settings, judged, query.sort)
        lines, judged = _lines(settings, settings, metric, query.model)
    choice = choose(settings, judged, metric) if len({*map(id, judged)}) > 1 else None
    tested = METRICS[metric].split == "test"  # not what is counted, nor what chose
    results = run_tests(settings, judged, lines, metric, choice, query) if tested else []
    averages = marginal(query.by, settings, judged, metric) if query.by else None
    return ComparisonTable(
        number=number,
        reasons=group.reasons,
        differing=group.differing,
        settings=settings,
        judged=judged,
        lines=lines,
        metric=metric,
        choice=choice,
        results=results,
        marginal=averages,
        notes=comparison_notes(settings, lines, metric, results, query, averages is not None),
    )


def _leading_of(settings: Sequence[Setting]) -> str:
    """Return the leading metric of the last epoch where all runs kept it, else of the best."""
    runs = [run for setting in settings for run in setting.runs.values()]
    kept_last = all(run.summary["epoch"] == LAST for run in runs)
    return leading_at(LAST if kept_last else BEST).name


def judged_row(setting: Setting, model: str) -> str:
    """Return the row that a setting is judged by: the last compression step, else the student.

    Args:
        setting: whose runs have the row.
        model: the row that the query names; empty for that rule.

    Returns:
        The name of the row; an empty text where no run has it.
    """
    rows = {model: row for run in setting.runs.values() for model, row in run.rows.items()}
    if model:
        return model if model in rows else ""
    steps = [model for model, row in rows.items() if row.get("versus")]
    return steps[-1] if steps else _STUDENT if _STUDENT in rows else list(rows)[-1]


def _lines(
    shown: Sequence[Setting], settings: Sequence[Setting], metric: str, query: str
) -> tuple[list[TableLine], list[TableLine]]:
    """Return the table's lines, and for each setting the line that it is judged by."""
    lines = table_lines(shown, metric if METRICS[metric].split else _leading_of(shown))
    place = {(id(one), line.model): line for line in lines for one in line.settings}
    return lines, [place[id(one), judged_row(one, query)] for one in settings]


def _sorted(settings: Sequence[Setting], judged: Sequence[TableLine], by: str) -> list[Setting]:
    """Return settings sorted by a key, or by a metric: the best first, those without it last."""
    if by not in METRICS:
        return sorted(settings, key=lambda one: sort_key(one.config.get(by)))
    sign = -1 if METRICS[by].better == "more" else 1

    def merit(at: int) -> float:
        found = judged[at].estimates.get(by)
        return float("inf") if found is None else sign * found.mean

    return [settings[at] for at in sorted(range(len(settings)), key=merit)]
