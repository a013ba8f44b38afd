"""Marginal means: the mean for each value of one key, averaged over the other keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from kdrun.compare.choice import choosing_metric
from kdrun.compare.comparable import ABSENT
from kdrun.compare.keys import short_key, sort_key, value_text
from kdrun.compare.metrics import METRICS
from kdrun.compare.seed_means import TableLine
from kdrun.compare.settings import Setting
from kdrun.compare.significance import run_paired_test
from kdrun.compare.statistics import Estimate, estimate
from kdrun.compare.test_results import SignificanceTest, correct_for_all
from kdrun.core.metrics import leading


@dataclass(frozen=True)
class MarginalMeans:
    """Means for the values of one key.

    Attributes:
        key: of the config.
        values: of the key, in order.
        estimates: for each value, metric -> mean over the seeds of the averages over the blocks.
        blocks: how many combinations of the other keys have all values, and are averaged.
        seeds: that all of these settings have.
        results: tests of the value that validation chose against each other value.
        sentence: what was averaged, and what validation chose.
    """

    key: str
    values: Sequence[Any]
    estimates: Sequence[Mapping[str, Estimate]]
    blocks: int
    seeds: Sequence[int]
    results: Sequence[SignificanceTest]
    sentence: str


def marginal(
    key: str, settings: Sequence[Setting], lines: Sequence[TableLine], metric: str
) -> MarginalMeans | None:
    """Average the settings over all keys but one.

    Only combinations of the other keys that have every value of the key count, and only seeds
    that all of these settings have, so that the values differ in nothing else.

    Args:
        key: of the config, in which the settings differ.
        settings: that compare.
        lines: the line of each setting's judged model.
        metric: the name of the metric that is compared.

    Returns:
        None where no combination has all values, or where these have no seed in common.
    """
    blocks = _blocks(key, settings, lines)
    every = [set(line.rows) for block in blocks for line in block.values()]
    seeds = sorted(set.intersection(*every)) if every else []
    if not seeds:
        return None
    named = {value_text(value): value for value in (_value(key, setting) for setting in settings)}
    order = sorted(named, key=lambda value: sort_key(named[value]))
    figures = [_figures([block[value] for block in blocks], seeds) for value in order]
    estimates = [
        {name: estimate(values) for name, values in by_metric.items()} for by_metric in figures
    ]
    by = choosing_metric(metric, lines)
    best = _best(estimates, by)
    labels = [f"{short_key(key)}={value_text(named[value])}" for value in order]
    results = [  # only metrics of the test split are tested
        _claim(labels[best], labels[at], figures[best], by_metric, metric)
        for at, by_metric in enumerate(figures)
        if METRICS[metric].split == "test" and best is not None and at != best
    ]
    return MarginalMeans(
        key=key,
        values=[named[value] for value in order],
        estimates=estimates,
        blocks=len(blocks),
        seeds=seeds,
        results=correct_for_all(results),
        sentence=_sentence(key, blocks, seeds, by, None if best is None else labels[best]),
    )


def _value(key: str, setting: Setting) -> Any:
    return setting.config.get(key, ABSENT)


def _blocks(
    key: str, settings: Sequence[Setting], lines: Sequence[TableLine]
) -> list[dict[str, TableLine]]:
    """Return value -> line for each combination of the other keys that has all values."""
    by_others: dict[Any, dict[str, TableLine]] = {}
    for setting, line in zip(settings, lines, strict=True):
        others = frozenset((k, value_text(v)) for k, v in setting.values.items() if k != key)
        by_others.setdefault(others, {})[value_text(_value(key, setting))] = line
    values = {value for block in by_others.values() for value in block}
    return [block for block in by_others.values() if len(block) == len(values)]


def _figures(lines: Sequence[TableLine], seeds: Sequence[int]) -> dict[str, list[float]]:
    """Return metric -> averages over the lines by seed, for metrics that all runs have."""
    averages = {}
    for metric in METRICS:
        by_line = [line.figures(metric) for line in lines]
        if all(seed in figures for figures in by_line for seed in seeds):
            averages[metric] = [fmean(figures[seed] for figures in by_line) for seed in seeds]
    return averages


def _best(estimates: Sequence[Mapping[str, Estimate]], by: str) -> int | None:
    """Return the position of the value that validation chooses; None if it can't."""
    if not all(by in means for means in estimates):
        return None
    return max(range(len(estimates)), key=lambda at: leading().merit(estimates[at][by].mean))


def _claim(
    left: str,
    right: str,
    left_values: Mapping[str, list[float]],
    right_values: Mapping[str, list[float]],
    metric: str,
) -> SignificanceTest:
    result = SignificanceTest("by", left, right, metric)
    if metric not in left_values or metric not in right_values:
        return replace(result, why_none="they lack that figure")
    pairs = [
        value - other
        for value, other in zip(left_values[metric], right_values[metric], strict=True)
    ]
    if len(pairs) < 2:
        return replace(result, why_none="of one seed there is no claim about the method")
    return run_paired_test(result, pairs, "seeds")


def _sentence(
    key: str,
    blocks: Sequence[Mapping[str, TableLine]],
    seeds: Sequence[int],
    by: str,
    best: str | None,
) -> str:
    others = f"{len(blocks)} setting{'s' if len(blocks) > 1 else ''} of the other keys"
    by_seed = "by seed" if len(seeds) > 1 else f"of seed {seeds[0]} alone, which all have"
    over = f"averages over {others}, {by_seed}"
    if best is None:
        return f"{short_key(key)}: {over}. Without {METRICS[by].label} nothing is chosen."
    return f"{short_key(key)}: {over}. Validation chooses {best}."
