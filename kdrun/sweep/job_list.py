"""Names the jobs of a sweep by the settings in which they differ."""

from collections.abc import Iterable, Sequence

from hydra.core.override_parser.types import Override

from kdrun.config.overrides import parse_jobs, parse_settings, typed_value
from kdrun.core.sweep import SweepJob, job_folder


def name_jobs(jobs: Sequence[Sequence[str]]) -> list[SweepJob]:
    """Name each job by the settings that differ between jobs.

    Args:
        jobs: the overrides of each job, as text.
    """
    override_of = parse_jobs(jobs)
    parsed = [_of_run(map(override_of.__getitem__, settings)) for settings in jobs]
    texts = [
        {override_key(override): str(override.input_line) for override in overrides}
        for overrides in parsed
    ]
    varying = [key for key in texts[0] if len({text.get(key) for text in texts}) > 1]
    return [
        name_job(number, len(parsed), overrides, varying) for number, overrides in enumerate(parsed)
    ]


def run_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides, and drop Hydra's own overrides, which belong to the whole sweep."""
    return _of_run(parse_settings(overrides))


def _of_run(overrides: Iterable[Override]) -> list[Override]:
    return [override for override in overrides if not override.is_hydra_override()]


def override_key(override: Override) -> str:
    """Return the key or the config group that an override sets."""
    return str(override.key_or_group)


def name_job(
    number: int, count: int, overrides: Sequence[Override], varying: Sequence[str]
) -> SweepJob:
    """Name a job by its values of the varying keys.

    Args:
        number: number of the job, from 0.
        count: number of jobs in the sweep.
        overrides: overrides of this job.
        varying: keys that differ between jobs.
    """
    differing = {override_key(o): o for o in overrides if override_key(o) in varying}
    texts = {key: typed_value(o) for key, o in differing.items()}
    return SweepJob(
        number=number,
        folder=job_folder(number, count, texts),
        words=tuple(str(override.input_line) for override in overrides),
        differs={key: override.value() for key, override in differing.items()},
    )
