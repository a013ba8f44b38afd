"""Composes the jobs of a sweep; jobs that differ in numbers alone are composed once.

To compose a config takes Hydra 0.1 s, so a sweep of 1,000 jobs would start minutes later.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, isfinite, prod
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override, OverrideType, RangeSweep
from omegaconf import OmegaConf

from kdrun.config.compose import ComposedRun, compose_run, resolved, without_hydra
from kdrun.config.loader import hydra_loader
from kdrun.config.overrides import expand_sweep, parse_jobs, parse_settings, refuse_sweeps
from kdrun.config.suggestions import options_of
from kdrun.core import limits
from kdrun.core.errors import TooManyJobs, UserError
from kdrun.core.number_format import many

Settings = tuple[str, ...]  # `key=value` strings of one job

# At most so many jobs are checked in full before the first one starts: those with names and texts,
# and then those with numbers, that no job before them has.
_NEW_TEXTS = 50
_NEW_NUMBERS = 10
_MANY = 100  # jobs
_HARMLESS = {"seed"}  # keys whose numbers the full check does not need


@dataclass(frozen=True)
class ComposedSweep:
    """The jobs of a sweep, and the configs that are checked before the first job starts.

    Attributes:
        settings: the settings of each job.
        full: the jobs that are checked in full: the first one, and those with new settings.
        similar: the configs of the jobs that differ in numbers alone from one of `full`.
    """

    settings: list[Settings]
    full: list[ComposedRun]
    similar: list[dict[str, Any]] = field(default_factory=list)


def compose_sweep(
    settings: Sequence[str],
    folders: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> ComposedSweep:
    """Compose the jobs of a sweep: all of them for `check=true`, otherwise those that differ.

    Args:
        settings: `key=value` strings, in Hydra's grammar.
        folders: more folders with config groups, from `--config-dir`.
        say: called with a sentence if the check of the jobs takes a while.

    Raises:
        TooManyJobs: the settings make too many jobs.
        UserError: a string is not a setting, or a config cannot be composed.
    """
    with hydra_loader(folders) as loader:
        overrides = parse_settings(settings, loader)
        refuse_sweeps(overrides, multirun=True)
        _refuse_wrong_count(overrides)
        jobs = expand_sweep(overrides)
        if len(jobs) > _MANY:
            say(f"{many(len(jobs), 'job')}; their settings are checked before the first one starts")
        first = compose_run(jobs[0], "sweep", loader)
        if first.tree["check"]:
            rest = [compose_run(words, "sweep", loader) for words in jobs[1:]]
            return ComposedSweep(jobs, [first, *rest])
        return _compose_different_jobs(jobs, first, loader)


def _refuse_wrong_count(overrides: Sequence[Override]) -> None:
    """Raise an error if there are no combinations of values, or more than a sweep may have jobs."""
    count = prod(map(_count_values, overrides))
    if count > limits.JOBS:
        raise TooManyJobs(
            f"these settings make {many(count, 'job')}; a sweep has {limits.JOBS:,} at most.",
            "  give fewer values, or search the best of a range: kdrun search KEY=RANGE",
        )
    if not count:
        raise UserError("these settings make no job: a range holds no value.")


def _count_values(override: Override) -> int:
    value = override.value()
    if not isinstance(value, RangeSweep):
        return (
            sum(1 for _ in override.sweep_string_iterator()) if override.is_sweep_override() else 1
        )
    assert value.start is not None and value.stop is not None
    count = (value.stop - value.start) / value.step
    return max(0, ceil(count)) if isfinite(count) else limits.JOBS + 1


def _compose_different_jobs(
    jobs: Sequence[Settings], first: ComposedRun, loader: ConfigLoaderImpl
) -> ComposedSweep:
    """Compose the jobs with new settings, and apply the numbers of the others to their configs."""
    numbers = _numbers(parse_jobs(jobs), loader)
    alike: dict[Settings, list[int]] = {}  # the settings that are no numbers -> the jobs with them
    for number, settings in enumerate(jobs):
        alike.setdefault(tuple(w for w in settings if w not in numbers), []).append(number)
    chosen = _choose(jobs, [members[0] for members in alike.values()], numbers)
    sweep = ComposedSweep(list(jobs), [])
    for first_member, *members in alike.values():
        if first_member not in chosen:
            continue
        run = compose_run(jobs[first_member], "sweep", loader) if first_member else first
        sweep.full.append(run)
        if run.faults:
            continue  # its numbers may be those of unknown keys
        for member, tree in zip(members, _with_numbers(run, members, jobs, numbers), strict=True):
            if member in chosen:
                sweep.full.append(replace(run, settings=jobs[member], tree=tree))
            else:
                sweep.similar.append(tree)
    return sweep


def _numbers(overrides: Mapping[str, Override], loader: ConfigLoaderImpl) -> dict[str, Override]:
    """Return the overrides that set a key to a number."""
    keys = {str(override.key_or_group) for override in overrides.values()}
    plain = {key for key in keys if not options_of(loader.repository, key.partition("@")[0])}
    return {
        word: override
        for word, override in overrides.items()
        if override.type in (OverrideType.CHANGE, OverrideType.FORCE_ADD)
        and isinstance(override.value(), int | float)
        and not isinstance(override.value(), bool)
        and override.key_or_group in plain
        and not override.is_hydra_override()
    }


def _choose(
    jobs: Sequence[Settings], different: Sequence[int], numbers: Mapping[str, Override]
) -> set[int]:
    """Choose the jobs that are checked in full: each with a setting that no job before it has.

    Args:
        jobs: the settings of each job.
        different: the first jobs of those that differ in numbers alone.
        numbers: the settings that are numbers.
    """
    texts = {word for settings in jobs for word in settings if word not in numbers}
    checked = {word for word in numbers if numbers[word].key_or_group not in _HARMLESS}
    with_texts = dict.fromkeys([*_with_new_words(jobs, different, texts), *different])
    with_numbers = _with_new_words(jobs, range(len(jobs)), checked)
    chosen = list(with_texts)[:_NEW_TEXTS]
    return {*chosen, *[number for number in with_numbers if number not in chosen][:_NEW_NUMBERS]}


def _with_new_words(
    jobs: Sequence[Settings], candidates: Sequence[int], words: Collection[str]
) -> Iterator[int]:
    """Yield each of the candidates that has one of the words as the first of them."""
    seen: set[str] = set()
    for number in candidates:
        new = {word for word in jobs[number] if word in words} - seen
        if new:
            seen |= new
            yield number


def _with_numbers(
    run: ComposedRun,
    members: Sequence[int],
    jobs: Sequence[Settings],
    numbers: Mapping[str, Override],
) -> Iterator[dict[str, Any]]:
    """Yield the config of each job that has other numbers than a composed one."""
    task = without_hydra(run.config)
    for member in members:
        for override in (numbers[word] for word in jobs[member] if word in numbers):
            force = override.is_force_add()
            OmegaConf.update(task, override.key_or_group, override.value(), force_add=force)
        tree = resolved(task)
        # What is equal is kept once: ten thousand configs are a gigabyte.
        yield {
            key: run.tree[key] if run.tree.get(key) == value else value
            for key, value in tree.items()
        }
