"""The trials of a search: chooses the settings of the next trials, and finds the best trial.

The sweep folder is the only state of a search: the sampler is rebuilt from the trials in the folder
each time. So a search that was killed continues with the same trials as without the interruption.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from statistics import median
from typing import Any

from kdrun.core.folder import STUDENT_ROW
from kdrun.core.metrics import Metric
from kdrun.core.records.summary import score_of
from kdrun.core.sweep import DONE, NOT_STARTED, SweepFolder, SweepJob
from kdrun.sweep.job_list import name_job, run_overrides
from kdrun.sweep.sampler import curve_of, objective, sampler_of, search_metric, study_of
from kdrun.sweep.search_space import distributions_of

_HOPELESS = 5  # a search ends if its first trials, at least as many, all fail
_MIN_FINISHED = 4  # trials are pruned only after as many trials have finished
# Prefixes of overrides that only a search has, not the run that repeats its best trial.
_SEARCH_OVERRIDES = ("controls=[]", "search.", "launcher.", "check=")
_DIGITS = 4  # significant digits of the sampled numbers


@dataclass(frozen=True)
class Search:
    """The settings of a search; written to sweep.json.

    Attributes:
        ranges: config key -> its range, such as `interval(1,16)` or `choice(kd,dkd)`.
        words: overrides of all trials.
        trials: number of trials.
        prune: whether a trial stops early if it is worse than the median of finished trials.
        seed: seed of the sampler.
    """

    ranges: Mapping[str, str]
    words: Sequence[str]
    trials: int
    prune: bool
    seed: int


def add_trials(sweep: SweepFolder) -> bool:
    """Add the next trials to the sweep, as many as run at the same time.

    A failed trial counts as a trial. No trial is added while an earlier trial has not started, or
    if all first trials failed.

    Returns:
        Whether a trial was added.
    """
    index, jobs = sweep.index(), sweep.jobs()
    if "search" not in index:
        return False
    search = Search(**index["search"])
    count = min(index["at_once"], search.trials - len(jobs))
    has_waiting = any(sweep.status(job) == NOT_STARTED for job in jobs)
    if count < 1 or has_waiting or is_hopeless(sweep):
        return False
    study, distributions = study_of(search.ranges, sweep, jobs), distributions_of(search.ranges)
    bars = _median_curve(sweep, jobs) if search.prune else ()
    for number in range(len(jobs), len(jobs) + count):
        study.sampler = sampler_of(search.seed, number)
        params = study.ask(distributions).params
        sampled = [f"{key}={_rounded(value)}" for key, value in params.items()]
        overrides = run_overrides([*search.words, *sampled])
        jobs.append(replace(name_job(number, search.trials, overrides, list(params)), bars=bars))
    sweep.write(jobs=jobs)
    return True


def is_hopeless(sweep: SweepFolder) -> bool:
    """Return whether all trials of a search failed, at least `_HOPELESS` of them."""
    jobs = sweep.jobs()
    return len(jobs) >= _HOPELESS and not any(sweep.status(job) in DONE for job in jobs)


def best_trial(sweep: SweepFolder) -> SweepJob | None:
    """Return the finished trial with the best validation score; the first if scores are equal."""
    finished = [job for job in sweep.jobs() if sweep.status(job) == "finished"]
    metric = search_metric(sweep)
    scored = [job for job in finished if _is_number(objective(sweep, job, metric))]
    scores = [objective(sweep, job, metric) or 0.0 for job in scored]
    return scored[scores.index(metric.best(scores))] if scored else next(iter(finished), None)


def describe_best(sweep: SweepFolder) -> str:
    """Return a message: the best trial, the command that repeats it, and a warning on its score."""
    best = best_trial(sweep)
    if best is None and is_hopeless(sweep):
        return f"the search has ended, as all of its first {len(sweep.jobs())} trials failed"
    if best is None:
        return "no trial has finished"
    metric, summary = search_metric(sweep), sweep.run(best).summary()
    score = objective(sweep, best, metric)
    rows = {row["model"]: row for row in summary["rows"]} if summary is not None else {}
    test = score_of(rows[STUDENT_ROW], metric.name)
    overrides = [word for word in best.words if not word.startswith(_SEARCH_OVERRIDES)]
    return (
        f"best on validation: {sweep.run(best).path}, {_text(metric, score)}"
        f" (test {_text(metric, test)})\n"
        f"  kdrun {shlex.join(overrides)}\n"
        "Its test score was not used to choose it. The validation"
        f" {metric.name} of the best of many trials is too optimistic:"
        " run it with other seeds, and compare it with the settings that it would replace."
    )


def _is_number(score: float | None) -> bool:
    return score is not None and not isnan(score)


def _text(metric: Metric, score: float | None) -> str:
    return "-" if score is None else metric.text(score)


def _rounded(value: Any) -> str:
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)


def _median_curve(sweep: SweepFolder, jobs: Sequence[SweepJob]) -> tuple[float | None, ...]:
    """Return the median score of the finished trials after each epoch; worse trials stop.

    The value is None in the first third of the epochs and after the last epoch: no trial stops
    there. The result is empty if fewer than `_MIN_FINISHED` trials have finished, or if they have
    different numbers of epochs.
    """
    metric = search_metric(sweep)
    curves = [curve_of(sweep, job, metric) for job in jobs if sweep.status(job) == "finished"]
    if len(curves) < _MIN_FINISHED or len({len(curve) for curve in curves}) > 1:
        return ()
    medians = [median(scores) for scores in zip(*curves, strict=True)]
    return tuple(
        value if len(medians) / 3 <= epoch < len(medians) else None
        for epoch, value in enumerate(medians, start=1)
    )
