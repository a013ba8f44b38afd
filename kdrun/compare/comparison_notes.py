"""Notes below a comparison's table, in sentences."""

from collections.abc import Sequence

from kdrun.compare.gather import Run
from kdrun.compare.keys import short_key
from kdrun.compare.metrics import LAST, RowMetrics, leading_at
from kdrun.compare.provenance import budgets, environments, latency_conditions
from kdrun.compare.query import Query
from kdrun.compare.run_notes import missing_classes
from kdrun.compare.seed_means import TableLine
from kdrun.compare.settings import Setting
from kdrun.compare.test_results import SignificanceTest
from kdrun.core.number_format import capitalize


def comparison_notes(
    settings: Sequence[Setting],
    lines: Sequence[TableLine],
    metric: str,
    results: Sequence[SignificanceTest],
    query: Query,
    has_marginal: bool,
) -> list[str]:
    """Return the notes of one table.

    Args:
        settings: the settings of the table.
        lines: the lines of the table.
        metric: the name of the metric that is compared.
        results: the results of significance tests.
        query: what the user asks for.
        has_marginal: whether there is a table of marginal means.
    """
    runs = [run for setting in settings for run in setting.runs.values()]
    metrics = lines[0].metrics if lines else {}
    return [
        *_epochs(runs, metrics),
        *_seeds(settings),
        *_not_finite(lines),
        *budgets(runs),
        *environments(runs),
        *latency_conditions(runs, lines),
        *_pareto_fronts(lines, metrics, metric),
        *_bootstrap(results),
        *dict.fromkeys(note for run in runs for note in missing_classes(run.summary)),
        *_untested(metrics, metric),
        *_sorting(metrics, query.sort),
        *_no_marginal(query.by, has_marginal),
    ]


def _epochs(runs: Sequence[Run], metrics: RowMetrics) -> list[str]:
    epochs = sorted({run.summary["epoch"] for run in runs})
    labels = [metric.label for metric in metrics.values() if metric.split and not metric.epoch]
    listed = f"{', '.join(labels[:-1])} and {labels[-1]}"
    if not epochs:
        return []
    epoch = f"the {epochs[0]} epoch" if len(epochs) == 1 else "the epoch that recipe.select names"
    return [
        f"Standard deviations over seeds in brackets. {capitalize(listed)} are"
        f" of the weights of {epoch}. All figures are of the test split, except those of"
        " validation; intervals are 95 %, from seeds alone."
    ]


def _seeds(settings: Sequence[Setting]) -> list[str]:
    notes = []
    if all(len(setting.runs) == 1 for setting in settings):
        notes = ["One seed each: what differs may be chance, and there is no interval over seeds."]
    if len({tuple(setting.runs) for setting in settings}) > 1:
        notes.append(
            "Settings have different seeds: the mean of a setting is over all seeds that it has,"
            " and a test pairs the seeds that both settings have. Another seed also trains another"
            " teacher, and starts from other weights."
        )
    return notes


def _not_finite(lines: Sequence[TableLine]) -> list[str]:
    """Return notes on missing and infinite values, which means leave out."""
    notes = []
    for line in lines:
        for name, metric in line.metrics.items():
            missing = len(line.rows) - len(line.figures(name))
            if missing and name in line.estimates:
                notes.append(
                    f"{metric.label} of {line.model} is missing or not a number in {missing} of"
                    f" {len(line.rows)} runs, which are left out of its mean."
                )
    return list(dict.fromkeys(notes))


def _pareto_fronts(lines: Sequence[TableLine], metrics: RowMetrics, metric: str) -> list[str]:
    if not any(line.fronts for line in lines):
        return []
    score = metrics[metric] if metrics[metric].split else leading_at(metrics, LAST)
    return [
        f"^ on the Pareto front: no other line is better in {score.label} and as cheap, or cheaper"
        " and as good. The front only describes the lines; nothing is chosen by it."
    ]


def _bootstrap(results: Sequence[SignificanceTest]) -> list[str]:
    """Return a note on how far bootstrap intervals of few seeds can be relied on."""
    if not any(result.drawn and result.pairs != "samples" for result in results):
        return []
    return [
        "The bootstrap of few seeds is too narrow: with 3, 5 and 10 seeds its interval contains the"
        " true difference in 75, 83 and 91 % of repetitions. Student's contains it in 95 %, and it"
        " alone decides here."
    ]


def _untested(metrics: RowMetrics, metric: str) -> list[str]:
    if metrics[metric].split == "test":
        return []
    if metrics[metric].split == "validation":
        return [
            "Validation scores choose the setting, and are too good for the one they choose: no"
            " test. To test settings against each other, compare by the test split:"
            f" --metric {leading_at(metrics, LAST).name}."
        ]
    return [f"{metrics[metric].label} is counted or timed, not estimated from samples: no test."]


def _sorting(metrics: RowMetrics, by: str) -> list[str]:
    if not by:
        return []
    if by in metrics and metrics[by].split == "test":
        return [f"Sorted by {metrics[by].label} on test, for reading: nothing was chosen by it."]
    return [f"Sorted by {metrics[by].label if by in metrics else short_key(by)}."]


def _no_marginal(by: str, has_marginal: bool) -> list[str]:
    if not by or has_marginal:
        return []
    return [
        f"No table by {short_key(by)}: there are no settings with equal values of the other keys"
        f" that have all values of {short_key(by)}, and a seed in common."
    ]
