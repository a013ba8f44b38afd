"""Optuna's view of a search: a study that is rebuilt from the sweep folder, and its sampler."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kdrun.core.folder import STUDENT_FOLDER
from kdrun.core.metrics import leading
from kdrun.core.records.artefact import validation_score
from kdrun.core.store import read_record
from kdrun.core.sweep import SweepFolder, SweepJob
from kdrun.engine.stop_trial import student_curve
from kdrun.sweep.job_list import override_key, run_overrides
from kdrun.sweep.search_space import Ranges, distributions_of, value_in

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import TPESampler

_RANDOM_TRIALS = 6  # trials that are drawn at random before the sampler learns from them


def objective(sweep: SweepFolder, job: SweepJob) -> float | None:
    """The distilled student's leading score on validation; None if it was not trained."""
    record = read_record(sweep.run(job).path / STUDENT_FOLDER)
    return None if record is None else validation_score(record, leading().name)


def curve_of(sweep: SweepFolder, job: SweepJob) -> list[float]:
    """The student's validation accuracy in 0..1 after each epoch."""
    return student_curve(sweep.run(job).path / STUDENT_FOLDER)


def study_of(ranges: Ranges, sweep: SweepFolder, jobs: Sequence[SweepJob]) -> "Study":
    """A study that holds these trials, as if optuna had run them itself."""
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize" if leading().better == "more" else "minimize")
    distributions = distributions_of(ranges)
    states = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    for job in jobs:
        overrides = {override_key(one): one for one in run_overrides(job.words)}
        state = states.get(sweep.status(job), TrialState.FAIL)
        curve = [] if state is TrialState.FAIL else curve_of(sweep, job)
        study.add_trial(
            create_trial(
                params={key: value_in(one, overrides[key]) for key, one in distributions.items()},
                distributions=distributions,
                state=state,
                value=objective(sweep, job) if state is TrialState.COMPLETE else None,
                intermediate_values=dict(enumerate(curve, start=1)),
            )
        )
    return study


def sampler_of(seed: int, number: int) -> "TPESampler":
    """The sampler of one trial, which depends on the seed and the trial's number alone."""
    from optuna.samplers import TPESampler

    from kdrun.core.seeds import seed_of

    trial_seed = seed_of(seed, "search", number) % 2**32
    return TPESampler(seed=trial_seed, n_startup_trials=_RANDOM_TRIALS)
