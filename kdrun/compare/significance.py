"""Significance tests of two models: over seeds where there are several, else over samples."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kdrun.compare.gather import Run
from kdrun.compare.metrics import METRICS
from kdrun.compare.resampling import bootstrap, bootstrap_of_two
from kdrun.compare.seed_means import figures
from kdrun.compare.statistics import estimate, mcnemar_p, paired_p, welch
from kdrun.compare.test_results import SignificanceTest

_SEED = 0  # of the bootstrap's draws: the same runs give the same interval
_DIGITS = 12
PAIRED, WELCH, MCNEMAR = "Student's paired t test", "Welch's t test", "McNemar's exact test"


@dataclass(frozen=True)
class ComparedModel:
    """A model of runs that differ in the seed alone.

    Attributes:
        label: the settings that distinguish it, as they are typed.
        model: the name of its row.
        runs: seed -> run that has the row.
    """

    label: str
    model: str
    runs: Mapping[int, Run]

    def epoch(self, seed: int) -> str:
        return self.runs[seed].summary["epoch"]

    def figures(self, metric: str) -> dict[int, float]:
        rows = {seed: run.rows[self.model] for seed, run in self.runs.items()}
        return figures(rows, {seed: self.epoch(seed) for seed in rows}, metric)


def compare_models(
    left: ComparedModel, right: ComparedModel, metric: str, about: str
) -> SignificanceTest:
    """Test the difference between two models.

    If they share two or more seeds, the seeds are paired. If they share one, its two runs are
    compared by their predictions for the test samples. If they share none, their means are
    compared unpaired, where each has two or more seeds.

    Args:
        left: one model.
        right: the other one.
        metric: the name of what is compared.
        about: why these two are compared; see `SignificanceTest`.
    """
    left_values, right_values = left.figures(metric), right.figures(metric)
    result = SignificanceTest(about, left.label, right.label, metric)
    seeds = sorted(left_values.keys() & right_values.keys())
    if len(seeds) > 1:
        return run_paired_test(
            result, [left_values[seed] - right_values[seed] for seed in seeds], "seeds"
        )
    if seeds:
        return _over_samples(result, left, right, seeds[0])
    if len(left_values) > 1 and len(right_values) > 1:
        return _unpaired(result, list(left_values.values()), list(right_values.values()))
    if not left_values or not right_values:
        missing = right.label if left_values else left.label
        return replace(result, why_none=f"{missing} has no value of it")
    seeds_of_both = " and ".join(_seeds(values) for values in (left_values, right_values))
    why = f"they have {seeds_of_both}, none in common, and another seed trains another teacher too"
    return replace(result, why_none=why)


def _seeds(values: Mapping[int, float]) -> str:
    return f"seed{'s' if len(values) > 1 else ''} {', '.join(map(str, sorted(values)))}"


def run_paired_test(result: SignificanceTest, values: list[float], what: str) -> SignificanceTest:
    """Test the differences of two or more pairs by Student's t test, with a bootstrap interval."""
    values = [round(value, _DIGITS) for value in values]  # equal ones may differ in the last bit
    mean_difference = estimate(values)
    n, mean = mean_difference.n, mean_difference.mean
    result = replace(result, pairs=what, counts=(n, n), difference=mean)
    if not mean_difference.deviation:
        how = "differ by the same amount in each" if mean else "do not differ in any"
        return replace(result, why_none=f"they {how} of {n} {what}")
    assert mean_difference.low is not None
    assert mean_difference.high is not None
    return replace(
        result,
        test=PAIRED,
        interval=(mean_difference.low, mean_difference.high),
        drawn=bootstrap(values, _SEED),
        p=paired_p(values),
    )


def _unpaired(result: SignificanceTest, left: list[float], right: list[float]) -> SignificanceTest:
    difference = estimate(left).mean - estimate(right).mean
    result = replace(result, counts=(len(left), len(right)), difference=difference)
    if len({*left}) == len({*right}) == 1:
        return replace(result, why_none="neither side's values vary")
    low, high, p = welch(left, right)
    drawn = bootstrap_of_two(left, right, _SEED)
    return replace(result, test=WELCH, interval=(low, high), drawn=drawn, p=p)


def _over_samples(
    result: SignificanceTest, left: ComparedModel, right: ComparedModel, seed: int
) -> SignificanceTest:
    from kdrun.compare.answers import NotPaired, paired_differences  # needs numpy

    metric = METRICS[result.metric]
    tested = metric.metric.name == "accuracy" and metric.split == "test"
    if not tested or {metric.epoch} != {left.epoch(seed), right.epoch(seed)}:
        return replace(
            result, why_none="single runs are tested by the answers that they kept alone"
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
        why = f"of seed {seed}, both know the very same of {len(differences)} test samples"
        return replace(result, why_none=why)
    return replace(
        result,
        test=MCNEMAR,
        drawn=bootstrap(differences, _SEED),
        p=mcnemar_p(int((differences > 0).sum()), int((differences < 0).sum())),
    )
