"""The trials of a search: which settings are tried next, and which trial is the best.

A search has no state but the sweep folder: the sampler is built anew from the trials in it each
time. So a search that was killed continues with the trials that it would have made.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from statistics import median
from typing import Any

from kdrun.core.metrics import leading
from kdrun.core.records.summary import score_of
from kdrun.core.sweep import DONE, NOT_STARTED, SweepFolder, SweepJob
from kdrun.sweep.job_list import name_job, run_overrides
from kdrun.sweep.sampler import curve_of, objective, sampler_of, study_of
from kdrun.sweep.search_space import distributions_of

_HOPELESS = 5  # first trials that fail before the settings can't be the reason
_MIN_FINISHED = 4  # finished trials that others are compared with
_OF_THE_SEARCH = ("controls=[]", "search.", "launcher.", "check=")  # overrides of no single run
_DIGITS = 4  # significant digits of a number that is tried


@dataclass(frozen=True)
class Search:
    """What a search tries; written to sweep.json.

    Attributes:
        ranges: key -> Hydra's word for its values: `interval(1,16)`, `choice(kd,dkd)`.
        words: the overrides that all trials have in common.
        trials: how many there are.
        prune: whether a trial stops early if others were better after as many epochs.
        seed: of the sampler.
    """

    ranges: Mapping[str, str]
    words: Sequence[str]
    trials: int
    prune: bool
    seed: int


def add_trials(sweep: SweepFolder) -> bool:
    """Add the next trials to the sweep, as many as run at the same time.

    A failed trial counts as tried. No trial is added while another could not be started, nor to a
    hopeless search.

    Returns:
        Whether any was added.
    """
    index, jobs = sweep.index(), sweep.jobs()
    if "search" not in index:
        return False
    search = Search(**index["search"])
    count = min(index["at_once"], search.trials - len(jobs))
    waiting = any(sweep.status(job) == NOT_STARTED for job in jobs)
    if count < 1 or waiting or is_hopeless(sweep):
        return False
    study, distributions = study_of(search.ranges, sweep, jobs), distributions_of(search.ranges)
    bars = _bars(sweep, jobs) if search.prune else ()
    for number in range(len(jobs), len(jobs) + count):
        study.sampler = sampler_of(search.seed, number)
        params = study.ask(distributions).params
        typed = [f"{key}={_rounded(value)}" for key, value in params.items()]
        overrides = run_overrides([*search.words, *typed])
        jobs.append(replace(name_job(number, search.trials, overrides, list(params)), bars=bars))
    sweep.write(jobs=jobs)
    return True


def is_hopeless(sweep: SweepFolder) -> bool:
    """Whether the first trials of a search all failed, so that others would too."""
    jobs = sweep.jobs()
    return len(jobs) >= _HOPELESS and not any(sweep.status(job) in DONE for job in jobs)


def best_trial(sweep: SweepFolder) -> SweepJob | None:
    """The finished trial with the best score on validation, the first of equals."""
    finished = [job for job in sweep.jobs() if sweep.status(job) == "finished"]
    return max(finished, key=lambda job: _merit(objective(sweep, job)), default=None)


def _merit(score: float | None) -> float:
    """Order trials by their leading score; those without one are the worst."""
    return -inf if score is None else leading().merit(score)


def describe_best(sweep: SweepFolder) -> str:
    """The best trial, the command that runs it again, and what its score is worth."""
    best = best_trial(sweep)
    if best is None and is_hopeless(sweep):
        return f"the search has ended, as all of its first {len(sweep.jobs())} trials failed"
    if best is None:
        return "no trial has finished"
    score, summary = objective(sweep, best) or 0.0, sweep.run(best).summary()
    rows = {row["model"]: row for row in summary["rows"]} if summary is not None else {}
    test = score_of(rows["distilled"], leading().name) or 0.0
    overrides = [word for word in best.words if not word.startswith(_OF_THE_SEARCH)]
    return (
        f"best on validation: {sweep.run(best).path}, {score:.2%} (test {test:.2%})\n"
        f"  kdrun {shlex.join(overrides)}\n"
        "Its test figure was not used to choose it. The validation"
        f" {leading().name} of the best of many"
        " flatters: run it with other seeds, beside what it is to replace."
    )


def _rounded(value: Any) -> str:
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)


def _bars(sweep: SweepFolder, jobs: Sequence[SweepJob]) -> tuple[float | None, ...]:
    """The median accuracy of the finished trials after each epoch, below which a trial stops.

    There is no bar in the first third of the epochs nor after the last, and none at all while few
    trials have finished or their numbers of epochs differ.
    """
    curves = [curve_of(sweep, job) for job in jobs if sweep.status(job) == "finished"]
    if len(curves) < _MIN_FINISHED or len({len(curve) for curve in curves}) > 1:
        return ()
    medians = [median(accuracies) for accuracies in zip(*curves, strict=True)]
    return tuple(
        value if len(medians) / 3 <= epoch < len(medians) else None
        for epoch, value in enumerate(medians, start=1)
    )
