"""Which jobs a sweep has: what each is called, and whether it can be run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydra.core.override_parser.types import Override

from kdrun.config.compose import ComposedRun
from kdrun.config.overrides import parse_settings
from kdrun.core.errors import ConfigError
from kdrun.core.sweep import SweepJob, job_folder
from kdrun.run.new_folder import faults_of_folder
from kdrun.sweep.parallel_jobs import faults_of_jobs

if TYPE_CHECKING:
    from kdrun.run.runner import Plan


def named_jobs(words: Sequence[Sequence[str]]) -> list[SweepJob]:
    """The jobs of these words, each called by what not all of them have in common."""
    parsed = [own_words(one) for one in words]
    values = [{_key(one): str(one.input_line) for one in job} for job in parsed]
    varying = [key for key in values[0] if len({one.get(key) for one in values}) > 1]
    return [name_job(number, len(parsed), job, varying) for number, job in enumerate(parsed)]


def own_words(words: Sequence[str]) -> list[Override]:
    """The words of a run alone: those for Hydra itself are the sweep's."""
    return [one for one in parse_settings(words) if not one.is_hydra_override()]


def name_job(
    number: int, count: int, words: Sequence[Override], varying: Sequence[str]
) -> SweepJob:
    """One job of `count`, called by its values of the keys that vary."""
    differs = {_key(one): one for one in words if _key(one) in varying}
    typed = {key: str(one.input_line).partition("=")[2] for key, one in differs.items()}
    return SweepJob(
        number=number,
        folder=job_folder(number, count, typed),
        words=tuple(str(one.input_line) for one in words),
        differs={key: one.value() for key, one in differs.items()},
    )


def _key(word: Override) -> str:
    return str(word.key_or_group)


def check_jobs(jobs: Sequence[ComposedRun], parallel: int) -> "list[Plan]":
    """The plan of every run that the words ask for.

    Args:
        jobs: as they were read.
        parallel: how many of them run on this machine at the same time.

    Raises:
        ConfigError: with all faults of all of them.
    """
    from kdrun.check.preflight import check

    plans: list[Plan] = []
    faults = faults_of_folder(jobs[0])
    faults += faults_of_jobs(jobs[0].tree["launcher"]["jobs"], jobs[0].launcher)
    for job in jobs:
        faults += job.faults
        try:
            plans.append(check(job.tree, parallel, job.unknown_groups))
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    return plans
