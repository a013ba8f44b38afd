"""Which jobs a sweep has, and what each is called."""

from collections.abc import Sequence

from hydra.core.override_parser.types import Override

from kdrun.core.sweep import SweepJob, job_folder
from kdrun.words import parse


def named_jobs(words: Sequence[Sequence[str]]) -> list[SweepJob]:
    """The jobs of these words, each called by what not all of them have in common."""
    parsed = [own_words(one) for one in words]
    values = [{_key(one): str(one.input_line) for one in job} for job in parsed]
    varying = [key for key in values[0] if len({one.get(key) for one in values}) > 1]
    return [name_job(number, len(parsed), job, varying) for number, job in enumerate(parsed)]


def own_words(words: Sequence[str]) -> list[Override]:
    """The words of a run alone: those for Hydra itself are the sweep's."""
    return [one for one in parse(words) if not one.is_hydra_override()]


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
