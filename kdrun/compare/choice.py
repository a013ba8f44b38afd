"""The setting that validation chooses; the test split never chooses."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.metrics import BEST, LAST, METRICS, leading_at
from kdrun.compare.seed_means import TableLine
from kdrun.compare.settings import Setting
from kdrun.compare.statistics import Estimate, estimate
from kdrun.core.metrics import leading
from kdrun.core.number_format import many


@dataclass(frozen=True)
class Choice:
    """The setting that validation chose; its test score is only reported.

    Attributes:
        setting: the chosen setting; None where nothing could be chosen.
        by: the name of the validation metric that chose.
        chosen: its mean for the chosen setting.
        tested: the mean of the compared metric for the chosen setting.
        sentence: the choice in words, or why nothing was chosen.
    """

    setting: Setting | None
    by: str
    chosen: Estimate | None
    tested: Estimate | None
    sentence: str


def choosing_metric(metric: str, lines: Sequence[TableLine]) -> str:
    """Return the name of the validation metric that chooses: of the compared metric's epoch."""
    last, best = (leading_at(epoch, "validation").name for epoch in (LAST, BEST))
    if METRICS[metric].epoch:
        return leading_at(METRICS[metric].epoch, "validation").name
    lasts = all(last in line.estimates for line in lines)
    return best if not lasts and all(best in line.estimates for line in lines) else last


def choose(settings: Sequence[Setting], lines: Sequence[TableLine], metric: str) -> Choice:
    """Choose the setting with the best mean on validation, over the seeds that all settings have.

    Args:
        settings: two or more.
        lines: the line of each setting's judged model.
        metric: the name of the metric that is compared.
    """
    by = choosing_metric(metric, lines)
    without = [line for line in lines if len(line.figures(by)) < len(line.rows)]
    if without:
        return Choice(
            None, by, None, None,
            f"Nothing is chosen: {len(without)} of {len(settings)} settings have no"
            f" {METRICS[by].label} in their summary.json, as older runs, and a choice by the test"
            " split would not be honest. Name what to compare with: --baseline KEY=VALUE.",
        )  # fmt: skip
    seeds = sorted(set.intersection(*(set(line.rows) for line in lines)))
    if not seeds:
        return Choice(
            None, by, None, None,
            "Nothing is chosen: no seed is in all settings, and means over other seeds choose the"
            " luckier ones.",
        )  # fmt: skip
    scores = [estimate([line.figures(by)[seed] for seed in seeds]) for line in lines]
    merits = [leading().merit(score.mean) for score in scores]
    tied = [at for at, merit in enumerate(merits) if merit == max(merits)]
    setting, line = settings[tied[0]], lines[tied[0]]
    tested = line.estimates.get(metric)
    some = " on the seeds that all have" if any(len(one.rows) > len(seeds) for one in lines) else ""
    sentence = f"Validation chooses {setting.label}{some}: {_estimate_text(by, scores[tied[0]])}"
    if len(tied) > 1:
        more = len(tied) - 1
        sentence += f", as much as {many(more, 'other')}, of which it is the first"
    if tested is not None and metric != by:
        sentence += f". Its {_estimate_text(metric, tested)}; the test split chose nothing"
    return Choice(setting, by, scores[tied[0]], tested, f"{sentence}.")


def _estimate_text(metric: str, estimate: Estimate) -> str:
    """Return an estimate in words: `NAME is 93.20 %, 95 % interval 91.10 to 95.30, 3 seeds`."""
    row_metric = METRICS[metric]
    value = f"{row_metric.text(estimate.mean)}{row_metric.unit.sign}"
    if not row_metric.split:
        return f"{row_metric.label}: {value}"
    text = f"{row_metric.label} is {value}"
    if estimate.low is not None and estimate.high is not None:
        text += f", 95 % interval {row_metric.interval_text(estimate.low, estimate.high)}"
    return f"{text}, {many(estimate.n, 'seed')}"
