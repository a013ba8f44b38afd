"""All that a comparison of runs shows, on the terminal, in files and in the report."""

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
    """Settings that may be held against each other, as one table.

    Attributes:
        number: of the table, from 1.
        reasons: why it can't be held against table 1, in sentences.
        differing: the keys that tell its settings apart.
        settings: by their values, or as they were asked to be sorted.
        judged: of each setting, the line of the model that it is judged by.
        lines: of the table.
        metric: the figure that is compared.
        choice: of a setting, on validation; None where there is only one, or all share one model.
        results: tests of differences.
        marginal: by one key, if that was asked for.
        notes: what a reader should know of this table, in sentences.
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
    """Runs held against each other.

    Attributes:
        runs: those that count.
        families: tables of comparable settings, the largest first.
        left_out: runs that don't count, and why.
    """

    runs: Sequence[Run]
    families: Sequence[ComparisonTable]
    left_out: Sequence[LeftOut]


def compare(gathered: Gathered, query: Query = Query()) -> Comparison:  # noqa: B008 - frozen
    """Hold runs against each other.

    Raises:
        UserError: the runs have no such key, value, row or metric.
    """
    query, runs = resolve_query(query, gathered.runs)
    groups, repeated = group(runs, query.keys)
    families = [_family(number, one, query) for number, one in enumerate(groups, 1)]
    counted = [run for one in groups for setting in one.settings for run in setting.runs.values()]
    return Comparison(counted, families, [*gathered.left_out, *repeated])


def _family(number: int, one: Group, query: Query) -> ComparisonTable:
    metric = query.metric or _top1(one.settings)
    settings = [setting for setting in one.settings if judged_row(setting, query.model)]
    lines, judged = _lines(one.settings, settings, metric, query.model)
    if query.sort:
        settings = _sorted(settings, judged, query.sort)
        lines, judged = _lines(settings, settings, metric, query.model)
    choice = choose(settings, judged, metric) if len({*map(id, judged)}) > 1 else None
    tested = METRICS[metric].split == "test"  # not what is counted, nor what chose
    results = run_tests(settings, judged, lines, metric, choice, query) if tested else []
    averages = marginal(query.by, settings, judged, metric) if query.by else None
    return ComparisonTable(
        number=number,
        reasons=one.reasons,
        differing=one.differing,
        settings=settings,
        judged=judged,
        lines=lines,
        metric=metric,
        choice=choice,
        results=results,
        marginal=averages,
        notes=comparison_notes(settings, lines, metric, results, query, averages is not None),
    )


def _top1(settings: Sequence[Setting]) -> str:
    """Top-1 of the last epoch where every run kept it, else of the best by validation."""
    runs = [run for setting in settings for run in setting.runs.values()]
    kept_last = all(run.summary["epoch"] == LAST for run in runs)
    return leading_at(LAST if kept_last else BEST).name


def judged_row(setting: Setting, query: str) -> str:
    """The model that a setting is judged by: the last step of compression, else the distilled.

    Args:
        setting: whose runs have it.
        query: the row to take; empty for that rule.

    Returns:
        An empty text where no run has the row.
    """
    rows = {model: row for run in setting.runs.values() for model, row in run.rows.items()}
    if query:
        return query if query in rows else ""
    steps = [model for model, row in rows.items() if row.get("versus")]
    return steps[-1] if steps else _STUDENT if _STUDENT in rows else list(rows)[-1]


def _lines(
    shown: Sequence[Setting], settings: Sequence[Setting], metric: str, query: str
) -> tuple[list[TableLine], list[TableLine]]:
    """The table's lines, and of each setting the one that it is judged by."""
    lines = table_lines(shown, metric if METRICS[metric].split else _top1(shown))
    place = {(id(one), line.model): line for line in lines for one in line.settings}
    return lines, [place[id(one), judged_row(one, query)] for one in settings]


def _sorted(settings: Sequence[Setting], judged: Sequence[TableLine], by: str) -> list[Setting]:
    """Settings by a key's values, or by a metric, the best first; those without it last."""
    if by not in METRICS:
        return sorted(settings, key=lambda one: sort_key(one.config.get(by)))
    sign = -1 if METRICS[by].better == "more" else 1

    def merit(at: int) -> float:
        found = judged[at].estimates.get(by)
        return float("inf") if found is None else sign * found.mean

    return [settings[at] for at in sorted(range(len(settings)), key=merit)]
