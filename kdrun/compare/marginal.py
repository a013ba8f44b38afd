"""Marginal means: the mean for each value of one key, averaged over the other keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from kdrun.compare.choice import choosing_metric
from kdrun.compare.comparable import ABSENT
from kdrun.compare.keys import short_key, sort_key, value_text
from kdrun.compare.metrics import RowMetric, RowMetrics
from kdrun.compare.seed_means import TableLine
from kdrun.compare.settings import Setting
from kdrun.compare.significance import run_paired_test
from kdrun.compare.statistics import Estimate, estimate
from kdrun.compare.test_results import SignificanceTest, correct_for_all
from kdrun.core.number_format import many


@dataclass(frozen=True)
class MarginalMeans:
    """Means for the values of one key.

    Attributes:
        key: the config key.
        values: the values of the key, sorted.
        estimates: for each value, metric -> mean over the seeds. The value of a seed is the average
            over the blocks.
        blocks: the number of blocks. A block is a combination of values of the other keys for which
            there are settings with all values of this key.
        seeds: the seeds that all settings in blocks have.
        results: tests of the value that validation chose against each other value.
        sentence: a sentence on what was averaged, and on what validation chose.
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

    Only blocks count: combinations of the other keys that have settings with every value of the
    key. Only seeds that all of these settings have count. So the values differ in nothing else.

    Args:
        key: the config key, in which the settings differ.
        settings: comparable settings.
        lines: for each setting, the line of the model that it is judged by.
        metric: the name of the metric that is compared.

    Returns:
        None if there is no block, or no seed that all settings in blocks have.
    """
    blocks = _blocks(key, settings, lines)
    seeds_of_lines = [set(line.rows) for block in blocks for line in block.values()]
    seeds = sorted(set.intersection(*seeds_of_lines)) if seeds_of_lines else []
    if not seeds:
        return None
    values = {value_text(value): value for value in (_value(key, setting) for setting in settings)}
    texts = sorted(values, key=lambda text: sort_key(values[text]))
    metrics = lines[0].metrics
    averages = [_averages([block[text] for block in blocks], seeds, metrics) for text in texts]
    estimates = [
        {name: estimate(by_seed) for name, by_seed in by_metric.items()} for by_metric in averages
    ]
    by = choosing_metric(metric, lines)
    best = _best(estimates, metrics[by])
    labels = [f"{short_key(key)}={text}" for text in texts]
    results = [  # only metrics of the test split are tested
        _test(labels[best], labels[index], averages[best], by_metric, metrics[metric])
        for index, by_metric in enumerate(averages)
        if metrics[metric].split == "test" and best is not None and index != best
    ]
    return MarginalMeans(
        key=key,
        values=[values[text] for text in texts],
        estimates=estimates,
        blocks=len(blocks),
        seeds=seeds,
        results=correct_for_all(results),
        sentence=_sentence(key, blocks, seeds, metrics[by], None if best is None else labels[best]),
    )


def _value(key: str, setting: Setting) -> Any:
    return setting.config.get(key, ABSENT)


def _blocks(
    key: str, settings: Sequence[Setting], lines: Sequence[TableLine]
) -> list[dict[str, TableLine]]:
    """Return the blocks, each as a mapping from the text of a value to a line."""
    candidates: dict[Any, dict[str, TableLine]] = {}
    for setting, line in zip(settings, lines, strict=True):
        other_values = frozenset(
            (other, value_text(value)) for other, value in setting.values.items() if other != key
        )
        candidates.setdefault(other_values, {})[value_text(_value(key, setting))] = line
    texts = {text for block in candidates.values() for text in block}
    return [block for block in candidates.values() if len(block) == len(texts)]


def _averages(
    lines: Sequence[TableLine], seeds: Sequence[int], metrics: RowMetrics
) -> dict[str, list[float]]:
    """Return metric -> for each seed, the average over the lines.

    Metrics that a line lacks for a seed are left out.
    """
    averages = {}
    for metric in metrics:
        by_line = [line.figures(metric) for line in lines]
        if all(seed in figures for figures in by_line for seed in seeds):
            averages[metric] = [fmean(figures[seed] for figures in by_line) for seed in seeds]
    return averages


def _best(estimates: Sequence[Mapping[str, Estimate]], by: RowMetric) -> int | None:
    """Return the index of the value that is best by a validation metric; None if it is missing."""
    if not all(by.name in means for means in estimates):
        return None
    return max(range(len(estimates)), key=lambda index: by.sign * estimates[index][by.name].mean)


def _test(
    left: str,
    right: str,
    left_values: Mapping[str, list[float]],
    right_values: Mapping[str, list[float]],
    metric: RowMetric,
) -> SignificanceTest:
    """Test two values of the key against each other, paired by seed."""
    result = SignificanceTest("by", left, right, metric)
    if metric.name not in left_values or metric.name not in right_values:
        return replace(result, why_none="one of the two has no value of it")
    differences = [
        left_value - right_value
        for left_value, right_value in zip(
            left_values[metric.name], right_values[metric.name], strict=True
        )
    ]
    if len(differences) < 2:
        return replace(result, why_none="a single seed allows no claim about the method")
    return run_paired_test(result, differences, "seeds")


def _sentence(
    key: str,
    blocks: Sequence[Mapping[str, TableLine]],
    seeds: Sequence[int],
    by: RowMetric,
    best: str | None,
) -> str:
    others = f"{many(len(blocks), 'setting')} of the other keys"
    by_seed = "by seed" if len(seeds) > 1 else f"of seed {seeds[0]} alone, which all have"
    averaged = f"averages over {others}, {by_seed}"
    if best is None:
        return f"{short_key(key)}: {averaged}. Without {by.label} nothing is chosen."
    return f"{short_key(key)}: {averaged}. Validation chooses {best}."
