"""Notes below a comparison's table, in sentences."""

from collections.abc import Sequence

from kdrun.compare.gather import Run
from kdrun.compare.keys import short_key
from kdrun.compare.metrics import LAST, METRICS, leading_at
from kdrun.compare.provenance import budgets, environments, latency_conditions
from kdrun.compare.query import Query
from kdrun.compare.seed_means import TableLine
from kdrun.compare.settings import Setting
from kdrun.compare.test_results import SignificanceTest


def comparison_notes(
    settings: Sequence[Setting],
    lines: Sequence[TableLine],
    metric: str,
    results: Sequence[SignificanceTest],
    query: Query,
    averaged: bool,
) -> list[str]:
    """Return the notes of one table.

    Args:
        settings: of the table.
        lines: of the table.
        metric: the name of the metric that is compared.
        results: of its significance tests.
        query: what the user asks for.
        averaged: whether there is a table of marginal means.
    """
    runs = [run for setting in settings for run in setting.runs.values()]
    return [
        *_epochs(runs),
        *_seeds(settings),
        *_not_finite(lines),
        *budgets(runs),
        *environments(runs),
        *latency_conditions(runs, lines),
        *_fronts(lines, metric),
        *_drawn(results),
        *_untested(metric),
        *_sorting(query.sort),
        *_averages(query.by, averaged),
    ]


def _epochs(runs: Sequence[Run]) -> list[str]:
    kept = sorted({run.summary["epoch"] for run in runs})
    labels = [metric.label for metric in METRICS.values() if metric.split and not metric.epoch]
    listed = f"{', '.join(labels[:-1])} and {labels[-1]}"
    if not kept:
        return []
    of = f"the {kept[0]} epoch" if len(kept) == 1 else "the epoch that recipe.select names"
    return [
        f"Standard deviations over seeds in brackets. {listed[0].upper()}{listed[1:]} are"
        f" of the weights of {of}. All figures are of the test split but those of validation;"
        " intervals are 95 %, from seeds alone."
    ]


def _seeds(settings: Sequence[Setting]) -> list[str]:
    notes = []
    if all(len(setting.runs) == 1 for setting in settings):
        notes = ["One seed each: what differs may be chance, and there is no interval over seeds."]
    if len({tuple(setting.runs) for setting in settings}) > 1:
        notes.append(
            "Settings have different seeds: means are over those that each has, tests pair those"
            " that both have. Another seed trains another teacher too, and starts elsewhere."
        )
    return notes


def _not_finite(lines: Sequence[TableLine]) -> list[str]:
    """Return notes on values that are missing or not finite, and left out of means."""
    found = []
    for line in lines:
        for name, one in METRICS.items():
            lost = len(line.rows) - len(line.figures(name))
            if lost and name in line.estimates:
                found.append(
                    f"{one.label} of {line.model} is missing or not a number in {lost} of"
                    f" {len(line.rows)} runs, which are left out of its mean."
                )
    return list(dict.fromkeys(found))


def _fronts(lines: Sequence[TableLine], metric: str) -> list[str]:
    if not any(line.fronts for line in lines):
        return []
    merit = METRICS[metric].label if METRICS[metric].split else leading_at(LAST).label
    return [
        f"^ on the Pareto front: no other line is better in {merit} and as cheap, or cheaper and"
        " as good; it describes, and chooses nothing."
    ]


def _drawn(results: Sequence[SignificanceTest]) -> list[str]:
    """Return a note on how far bootstrap intervals of few seeds can be relied on."""
    if not any(result.drawn and result.pairs != "samples" for result in results):
        return []
    return [
        "The bootstrap of few seeds is too narrow: of 3, 5 and 10 its interval holds the truth in"
        " 75, 83 and 91 % of repetitions, Student's in 95 %, which alone decides here."
    ]


def _untested(metric: str) -> list[str]:
    if METRICS[metric].split == "test":
        return []
    if METRICS[metric].split == "validation":
        return [
            "Figures of validation choose, and flatter what they chose: no test. Hold settings"
            f" against each other on the test split: --metric {leading_at(LAST).name}."
        ]
    return [f"{METRICS[metric].label} is counted or timed, not estimated from samples: no test."]


def _sorting(by: str) -> list[str]:
    if not by:
        return []
    if by in METRICS and METRICS[by].split == "test":
        return [f"Sorted by {METRICS[by].label} on test, for reading: nothing was chosen by it."]
    return [f"Sorted by {METRICS[by].label if by in METRICS else short_key(by)}."]


def _averages(by: str, averaged: bool) -> list[str]:
    if not by or averaged:
        return []
    return [
        f"No table by {short_key(by)}: no settings that are alike in the other keys have all its"
        " values and a seed in common."
    ]
