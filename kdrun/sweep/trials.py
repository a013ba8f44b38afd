"""The trials of a search: which settings come next, and which trial is the best.

The sweep folder is all that a search remembers: the sampler is asked anew each time, from what is
written there. So a search that was killed goes on as if nothing had happened.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from statistics import median
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import IntervalSweep, Override

from kdrun.config.overrides import parse_settings
from kdrun.core.errors import Fault
from kdrun.core.folder import STUDENT_FOLDER
from kdrun.core.metrics import leading
from kdrun.core.records.summary import score_of
from kdrun.core.store import read_record
from kdrun.core.sweep import DONE, NOT_STARTED, SweepFolder, SweepJob
from kdrun.engine.stop_trial import student_curve
from kdrun.sweep.job_list import name_job, own_words

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

_AT_RANDOM = 6  # trials before the sampler learns from what it has seen
_HOPELESS = 5  # trials that fail before any other has ended well: it is not their settings
_TO_COMPARE = 4  # trials that finished before another is held against them
_NOT_ITS_OWN = ("controls=[]", "search.", "launcher.", "check=")  # words of the search
_DIGITS = 4  # of a number that is tried


@dataclass(frozen=True)
class Search:
    """What a search looks for.

    Attributes:
        ranges: key -> Hydra's word for its values: `interval(1,16)`, `choice(kd,dkd)`.
        words: what all trials have in common.
        trials: how many there are.
        prune: whether hopeless ones end early.
        seed: of the sampler.
    """

    ranges: Mapping[str, str]
    words: Sequence[str]
    trials: int
    prune: bool
    seed: int


def add_trials(sweep: SweepFolder) -> bool:
    """Write the next trials into the index, as many as run at the same time; whether there are any.

    A trial that failed counts as tried. None is added while one waits that could not be started,
    nor to a hopeless search.
    """
    index, jobs = sweep.index(), sweep.jobs()
    if "search" not in index:
        return False
    search = Search(**index["search"])
    count = min(index["at_once"], search.trials - len(jobs))
    waits = any(sweep.status(job) == NOT_STARTED for job in jobs)
    if count < 1 or waits or is_hopeless(sweep):
        return False
    study, spaces = _study(search, sweep, jobs), _spaces(search.ranges)
    bars = _bars(sweep, jobs) if search.prune else ()
    for number in range(len(jobs), len(jobs) + count):
        study.sampler = _sampler(search.seed, number)
        found = study.ask(spaces).params
        values = [f"{key}={_shortened(value)}" for key, value in found.items()]
        words = own_words([*search.words, *values])
        jobs.append(replace(name_job(number, search.trials, words, list(found)), bars=bars))
    sweep.write(jobs=jobs)
    return True


def is_hopeless(sweep: SweepFolder) -> bool:
    """Whether the first trials of a search all failed, so that others would too."""
    jobs = sweep.jobs()
    return len(jobs) >= _HOPELESS and not any(sweep.status(job) in DONE for job in jobs)


def objective(sweep: SweepFolder, job: SweepJob) -> float | None:
    """The distilled student's validation accuracy in 0..1; None where it was not trained."""
    record = read_record(sweep.run(job).path / STUDENT_FOLDER)
    return None if record is None else record["validation"][leading().name]


def best_trial(sweep: SweepFolder) -> SweepJob | None:
    """The finished trial that is best on validation, the first of equals."""
    finished = [job for job in sweep.jobs() if sweep.status(job) == "finished"]
    return max(finished, key=lambda job: _merit(objective(sweep, job)), default=None)


def _merit(score: float | None) -> float:
    """Order trials by their leading score; those without one are the worst."""
    return -inf if score is None else leading().merit(score)


def winner(sweep: SweepFolder) -> str:
    """Which trial is best, how to run it again, and what its figures are good for."""
    best = best_trial(sweep)
    if best is None and is_hopeless(sweep):
        return f"the search has ended, as all of its first {len(sweep.jobs())} trials failed"
    if best is None:
        return "no trial has finished"
    score, summary = objective(sweep, best) or 0.0, sweep.run(best).summary()
    rows = {row["model"]: row for row in summary["rows"]} if summary is not None else {}
    test = score_of(rows["distilled"], leading().name) or 0.0
    words = [word for word in best.words if not word.startswith(_NOT_ITS_OWN)]
    return (
        f"best on validation: {sweep.run(best).path}, {score:.2%} (test {test:.2%})\n"
        f"  kdrun {shlex.join(words)}\n"
        "Its test figure was not used to choose it. The validation"
        f" {leading().name} of the best of many"
        " flatters: run it with other seeds, beside what it is to replace."
    )


def ends(word: str) -> list[str]:
    """The values between which, or of which, a key is searched, as they are typed."""
    (parsed,) = parse_settings([f"k={word}"])
    value = parsed.value()
    if isinstance(value, IntervalSweep):
        return [str(value.start), str(value.end)]
    return list(parsed.sweep_string_iterator())


def faults_of_ranges(ranges: Mapping[str, str]) -> list[Fault]:
    """What of the ranges can't be searched, by their ends alone."""
    found = {key: _fault_of_range(word) for key, word in ranges.items()}
    return [Fault(key, f"{ranges[key]} {told}") for key, told in found.items() if told]


def _fault_of_range(word: str) -> str:
    (parsed,) = parse_settings([f"k={word}"])
    value = parsed.value()
    if not isinstance(value, IntervalSweep):
        return "" if ends(word) else "holds no value"
    low, high = value.start or 0, value.end or 0
    if not (isfinite(low) and isfinite(high)):
        return "has an end that is no number"
    if low > high:
        return f"has its ends the wrong way round: {high:g} comes first"
    if "log" in value.tags and low <= 0:
        return f"is logarithmic and must start above 0, not at {low:g}"
    return ""


def _study(search: Search, sweep: SweepFolder, jobs: Sequence[SweepJob]) -> "Study":
    """What optuna would know of these trials had it seen them."""
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize" if leading().better == "more" else "minimize")
    spaces = _spaces(search.ranges)
    states = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    for job in jobs:
        own = {str(one.key_or_group): one for one in own_words(job.words)}
        state = states.get(sweep.status(job), TrialState.FAIL)
        failed = state is TrialState.FAIL
        curve = [] if failed else student_curve(sweep.run(job).path / STUDENT_FOLDER)
        study.add_trial(
            create_trial(
                params={key: _param(own[key], space) for key, space in spaces.items()},
                distributions=spaces,
                state=state,
                value=objective(sweep, job) if state is TrialState.COMPLETE else None,
                intermediate_values=dict(enumerate(curve, start=1)),
            )
        )
    return study


def _sampler(seed: int, number: int) -> Any:
    """What chooses a trial's settings; of each number always the same at the same knowledge."""
    from optuna.samplers import TPESampler

    from kdrun.core.seeds import seed_of

    own = seed_of(seed, "search", number) % 2**32
    return TPESampler(seed=own, n_startup_trials=_AT_RANDOM)


def _spaces(ranges: Mapping[str, str]) -> "dict[str, BaseDistribution]":
    from optuna import distributions

    spaces: dict[str, BaseDistribution] = {}
    for key, word in ranges.items():
        (parsed,) = parse_settings([f"k={word}"])
        value = parsed.value()
        if isinstance(value, IntervalSweep):
            low, high, log = value.start or 0, value.end or 0, "log" in value.tags
            if isinstance(low, int) and isinstance(high, int):
                spaces[key] = distributions.IntDistribution(low, high, log=log)
            else:
                spaces[key] = distributions.FloatDistribution(low, high, log=log)
        else:
            spaces[key] = distributions.CategoricalDistribution(ends(word))
    return spaces


def _param(word: Override, space: "BaseDistribution") -> Any:
    """What stands in a trial's word, as its space has it."""
    from optuna.distributions import CategoricalDistribution

    typed = str(word.input_line).partition("=")[2]
    return typed if isinstance(space, CategoricalDistribution) else word.value()


def _shortened(value: Any) -> str:
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)


def _bars(sweep: SweepFolder, jobs: Sequence[SweepJob]) -> tuple[float | None, ...]:
    """The median accuracy of the finished trials after each epoch, if all have as many.

    Nothing is asked for in the first third of the epochs, nor after the last.
    """
    curves = [
        student_curve(sweep.run(job).path / STUDENT_FOLDER)
        for job in jobs
        if sweep.status(job) == "finished"
    ]
    if len(curves) < _TO_COMPARE or len({len(curve) for curve in curves}) > 1:
        return ()
    medians = [median(after) for after in zip(*curves, strict=True)]
    return tuple(
        value if len(medians) / 3 <= epoch < len(medians) else None
        for epoch, value in enumerate(medians, start=1)
    )
