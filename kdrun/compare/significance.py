"""Significance tests of two models: over seeds where there are several, else over samples."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kdrun.compare.gather import Run
from kdrun.compare.metrics import RowMetric
from kdrun.compare.resampling import bootstrap, bootstrap_of_two
from kdrun.compare.seed_means import figures
from kdrun.compare.statistics import estimate, mcnemar_p, paired_p, welch
from kdrun.compare.test_results import SignificanceTest
from kdrun.task import task_of

_SEED = 0  # of the bootstrap's draws, fixed so that the same runs give the same interval
_DIGITS = 12  # decimals that differences are rounded to
PAIRED, WELCH, MCNEMAR = "Student's paired t test", "Welch's t test", "McNemar's exact test"


@dataclass(frozen=True)
class ComparedModel:
    """A model of runs that differ in the seed alone.

    Attributes:
        label: the config values that distinguish it, as they are typed.
        model: the name of the model's row.
        runs: seed -> run that has the row.
    """

    label: str
    model: str
    runs: Mapping[int, Run]

    def epoch(self, seed: int) -> str:
        """Return the epoch of the weights in the run's results: last or best."""
        return self.runs[seed].summary["epoch"]

    def figures(self, metric: RowMetric) -> dict[int, float]:
        """Return seed -> value of a metric, for the seeds that have a finite value."""
        rows = {seed: run.rows[self.model] for seed, run in self.runs.items()}
        return figures(rows, {seed: self.epoch(seed) for seed in rows}, metric)


def compare_models(
    left: ComparedModel, right: ComparedModel, metric: RowMetric, about: str
) -> SignificanceTest:
    """Test the difference between two models.

    If the models share two or more seeds, values of the same seed are paired. If they share one
    seed, the predictions of its two runs for the test samples are paired. If they share none, the
    values are compared unpaired, provided that each model has two or more.

    Args:
        left: the model that the difference is positive for if its value is higher.
        right: the model that is subtracted.
        metric: the metric that is compared.
        about: the kind of comparison; see `SignificanceTest`.
    """
    left_values, right_values = left.figures(metric), right.figures(metric)
    result = SignificanceTest(about, left.label, right.label, metric)
    seeds = sorted(left_values.keys() & right_values.keys())
    if len(seeds) > 1:
        return run_paired_test(
            result, [left_values[seed] - right_values[seed] for seed in seeds], "seeds"
        )
    if seeds:
        return _test_samples(result, left, right, seeds[0])
    if len(left_values) > 1 and len(right_values) > 1:
        return _test_unpaired(result, list(left_values.values()), list(right_values.values()))
    if not left_values or not right_values:
        missing = right.label if left_values else left.label
        return replace(result, why_none=f"{missing} has no value of it")
    seeds_of_both = " and ".join(_seeds_text(values) for values in (left_values, right_values))
    why = f"they have {seeds_of_both}, none in common, and another seed trains another teacher too"
    return replace(result, why_none=why)


def _seeds_text(values: Mapping[int, float]) -> str:
    return f"seed{'s' if len(values) > 1 else ''} {', '.join(map(str, sorted(values)))}"


def run_paired_test(
    result: SignificanceTest, differences: list[float], pairs: str
) -> SignificanceTest:
    """Test the differences of two or more pairs by Student's t test, with a bootstrap interval.

    Args:
        result: the test without its result.
        differences: left minus right, for each pair.
        pairs: what is paired: seeds or samples.
    """
    # Rounded, as differences that are equal in exact arithmetic may differ in the last bit.
    values = [round(difference, _DIGITS) for difference in differences]
    mean_difference = estimate(values)
    n, mean = mean_difference.n, mean_difference.mean
    result = replace(result, pairs=pairs, counts=(n, n), difference=mean)
    if not mean_difference.deviation:
        how = "differ by the same amount in each" if mean else "do not differ in any"
        return replace(result, why_none=f"they {how} of {n} {pairs}")
    return replace(
        result,
        test=PAIRED,
        interval=mean_difference.interval,
        drawn=bootstrap(values, _SEED),
        p=paired_p(values),
    )


def _test_unpaired(
    result: SignificanceTest, left: list[float], right: list[float]
) -> SignificanceTest:
    """Test the values of two models that share no seed."""
    difference = estimate(left).mean - estimate(right).mean
    result = replace(result, counts=(len(left), len(right)), difference=difference)
    if len({*left}) == len({*right}) == 1:
        return replace(result, why_none="neither side's values vary")
    low, high, p = welch(left, right)
    drawn = bootstrap_of_two(left, right, _SEED)
    return replace(result, test=WELCH, interval=(low, high), drawn=drawn, p=p)


def _test_samples(
    result: SignificanceTest, left: ComparedModel, right: ComparedModel, seed: int
) -> SignificanceTest:
    """Test the predictions of two runs of one seed for the same test samples."""
    from kdrun.compare.answers import NotPaired, paired_differences  # imports numpy

    metric, task = result.metric, task_of(left.runs[seed].summary)
    are_hits = metric.metric.name == task.hits and metric.split == "test"
    if not are_hits or {metric.epoch} != {left.epoch(seed), right.epoch(seed)}:
        return replace(
            result, why_none="single runs are only tested by the predictions that they stored"
        )
    try:
        differences = paired_differences(
            (left.runs[seed], left.model), (right.runs[seed], right.model)
        )
    except NotPaired as error:
        return replace(result, why_none=str(error))
    result = replace(
        result,
        pairs="samples",
        counts=(len(differences), len(differences)),
        seed=seed,
        difference=float(differences.mean()),
    )
    if not differences.any():
        why = f"of seed {seed}, both are right on the same ones of {len(differences)} test samples"
        return replace(result, why_none=why)
    return replace(
        result,
        test=MCNEMAR,
        drawn=bootstrap(differences, _SEED),
        p=mcnemar_p(int((differences > 0).sum()), int((differences < 0).sum())),
    )
