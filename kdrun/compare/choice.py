"""Choosing the best setting by its score on validation, never by that on the test split."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.metrics import BEST, LAST, RowMetric, leading_at
from kdrun.compare.seed_means import TableLine
from kdrun.compare.settings import Setting
from kdrun.compare.statistics import Estimate, estimate
from kdrun.core.number_format import many


@dataclass(frozen=True)
class Choice:
    """The setting that validation chose; its test score is only reported.

    Attributes:
        setting: the chosen setting; None where nothing could be chosen.
        by: the name of the validation metric that the choice was made by.
        chosen: the chosen setting's mean of that metric.
        tested: the chosen setting's mean of the metric that is compared.
        sentence: a sentence on the choice, or on why nothing was chosen.
    """

    setting: Setting | None
    by: str
    chosen: Estimate | None
    tested: Estimate | None
    sentence: str


def choosing_metric(metric: str, lines: Sequence[TableLine]) -> str:
    """Return the name of the validation metric that settings are chosen by.

    It is of the same epoch as the compared metric. If that has no epoch, it is of the last epoch,
    or of the best epoch if only that is known for all lines.
    """
    metrics = lines[0].metrics
    last, best = (leading_at(metrics, epoch, "validation").name for epoch in (LAST, BEST))
    if metrics[metric].epoch:
        return leading_at(metrics, metrics[metric].epoch, "validation").name
    all_have_last = all(last in line.estimates for line in lines)
    all_have_best = all(best in line.estimates for line in lines)
    return best if all_have_best and not all_have_last else last


def choose(settings: Sequence[Setting], lines: Sequence[TableLine], metric: str) -> Choice:
    """Choose the setting with the best mean on validation, over the seeds that all settings have.

    Args:
        settings: two or more settings.
        lines: for each setting, the line of the model that it is judged by.
        metric: the name of the metric that is compared.
    """
    by, metrics = choosing_metric(metric, lines), lines[0].metrics
    incomplete = [line for line in lines if len(line.figures(by)) < len(line.rows)]
    if incomplete:
        return Choice(
            None, by, None, None,
            f"Nothing is chosen: {len(incomplete)} of {len(settings)} settings have no"
            f" {metrics[by].label} in their summary.json, which older runs did not write, and a"
            " choice by the test split would not be honest. Name what to compare with:"
            " --baseline KEY=VALUE.",
        )  # fmt: skip
    seeds = sorted(set.intersection(*(set(line.rows) for line in lines)))
    if not seeds:
        return Choice(
            None, by, None, None,
            "Nothing is chosen: the settings have no seed in common, and means over different seeds"
            " would choose the luckier ones.",
        )  # fmt: skip
    scores = [estimate([line.figures(by)[seed] for seed in seeds]) for line in lines]
    best = metrics[by].metric.best(score.mean for score in scores)
    tied = [index for index, score in enumerate(scores) if score.mean == best]
    setting, score = settings[tied[0]], scores[tied[0]]
    tested = lines[tied[0]].estimates.get(metric)
    some_seeds = any(len(line.rows) > len(seeds) for line in lines)
    seeds_text = " on the seeds that all have" if some_seeds else ""
    sentence = (
        f"Validation chooses {setting.label}{seeds_text}: {_estimate_text(metrics[by], score)}"
    )
    if len(tied) > 1:
        sentence += f", as much as {many(len(tied) - 1, 'other')}; it is the first of them"
    if tested is not None and metric != by:
        sentence += f". Its {_estimate_text(metrics[metric], tested)}; the test split chose nothing"
    return Choice(setting, by, score, tested, f"{sentence}.")


def _estimate_text(metric: RowMetric, estimate: Estimate) -> str:
    """Return an estimate in words: `NAME is 93.20 %, 95 % interval 91.10 to 95.30, 3 seeds`."""
    value = f"{metric.text(estimate.mean)}{metric.unit.sign}"
    if not metric.split:
        return f"{metric.label}: {value}"
    text = f"{metric.label} is {value}"
    if estimate.interval:
        text += f", 95 % interval {metric.interval_text(*estimate.interval)}"
    return f"{text}, {many(estimate.n, 'seed')}"
