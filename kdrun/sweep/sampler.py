"""The optuna study of a search, rebuilt from the trials in the sweep folder, and its sampler."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kdrun.core.folder import STUDENT_FOLDER
from kdrun.core.metrics import Metric
from kdrun.core.records.artefact import validation_score
from kdrun.core.store import read_record
from kdrun.core.sweep import SweepFolder, SweepJob
from kdrun.engine.stop_trial import student_curve
from kdrun.sweep.job_list import override_key, run_overrides
from kdrun.sweep.search_space import Ranges, distributions_of, value_in
from kdrun.task import task_of

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import TPESampler

_RANDOM_TRIALS = 6  # number of first trials that are random


def search_metric(sweep: SweepFolder) -> Metric:
    """Return the leading metric of the task of a search, by the config of its first run."""
    runs = (sweep.run(job) for job in sweep.jobs())
    configs = (run.manifest().get("config") for run in runs if run.is_run)
    return task_of((next(configs, None) or {}).get("dataset", {})).leading()


def objective(sweep: SweepFolder, job: SweepJob, metric: Metric) -> float | None:
    """Return the validation score of a job's distilled student; None if it was not trained."""
    record = read_record(sweep.run(job).path / STUDENT_FOLDER)
    return None if record is None else validation_score(record, metric.name)


def curve_of(sweep: SweepFolder, job: SweepJob, metric: Metric) -> list[float]:
    """Return the student's validation score after each epoch."""
    return student_curve(sweep.run(job).path / STUDENT_FOLDER, metric)


def study_of(ranges: Ranges, sweep: SweepFolder, jobs: Sequence[SweepJob]) -> "Study":
    """Return a study that contains the jobs as trials, as if optuna had run them itself.

    Args:
        ranges: the ranges that are searched.
        sweep: the folder of the search.
        jobs: jobs of the sweep that have ended.
    """
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    metric = search_metric(sweep)
    study = optuna.create_study(direction="minimize" if metric.better == "less" else "maximize")
    distributions = distributions_of(ranges)
    states = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    for job in jobs:
        overrides = {override_key(override): override for override in run_overrides(job.words)}
        state = states.get(sweep.status(job), TrialState.FAIL)
        curve = [] if state is TrialState.FAIL else curve_of(sweep, job, metric)
        study.add_trial(
            create_trial(
                params={
                    key: value_in(distribution, overrides[key])
                    for key, distribution in distributions.items()
                },
                distributions=distributions,
                state=state,
                value=objective(sweep, job, metric) if state is TrialState.COMPLETE else None,
                intermediate_values=dict(enumerate(curve, start=1)),
            )
        )
    return study


def sampler_of(seed: int, number: int) -> "TPESampler":
    """Return the sampler of one trial, which depends only on the seed and the trial's number."""
    from optuna.samplers import TPESampler

    from kdrun.core.seeds import seed_of

    trial_seed = seed_of(seed, "search", number) % 2**32
    return TPESampler(seed=trial_seed, n_startup_trials=_RANDOM_TRIALS)
