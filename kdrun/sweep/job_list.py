"""Names for the jobs of a sweep, from the settings in which they differ."""

from collections.abc import Sequence

from hydra.core.override_parser.types import Override

from kdrun.config.overrides import parse_settings
from kdrun.core.sweep import SweepJob, job_folder


def name_jobs(jobs: Sequence[Sequence[str]]) -> list[SweepJob]:
    """Name each job by the settings that not all jobs have in common.

    Args:
        jobs: the overrides of each job, as they are typed.
    """
    parsed = [run_overrides(overrides) for overrides in jobs]
    typed = [{override_key(one): str(one.input_line) for one in job} for job in parsed]
    varying = [key for key in typed[0] if len({job.get(key) for job in typed}) > 1]
    return [name_job(number, len(parsed), job, varying) for number, job in enumerate(parsed)]


def run_overrides(overrides: Sequence[str]) -> list[Override]:
    """The parsed overrides of a run, without those of Hydra, which belong to the sweep."""
    return [one for one in parse_settings(overrides) if not one.is_hydra_override()]


def override_key(override: Override) -> str:
    """The key, or the config group, that an override sets."""
    return str(override.key_or_group)


def name_job(
    number: int, count: int, overrides: Sequence[Override], varying: Sequence[str]
) -> SweepJob:
    """Name one job by its values of the keys that vary.

    Args:
        number: of the job, from 0.
        count: how many jobs there are.
        overrides: of this job.
        varying: the keys.
    """
    differing = {override_key(one): one for one in overrides if override_key(one) in varying}
    typed = {key: str(one.input_line).partition("=")[2] for key, one in differing.items()}
    return SweepJob(
        number=number,
        folder=job_folder(number, count, typed),
        words=tuple(str(one.input_line) for one in overrides),
        differs={key: one.value() for key, one in differing.items()},
    )
