"""Grouping runs: into settings, whose runs differ in the seed alone, and comparable settings."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kdrun.compare.comparable import Conditions, find_conditions, incomparable_reasons
from kdrun.compare.gather import LeftOut, Run
from kdrun.compare.keys import TEACHER, short_key, sort_key, value_text


@dataclass(frozen=True)
class Setting:
    """Runs that differ in the seed alone.

    Attributes:
        values: config key -> value, for the keys in which the group's settings differ.
        runs: seed -> run.
        absent: differing keys that these runs' configs don't have.
    """

    values: Mapping[str, Any]
    runs: Mapping[int, Run]
    absent: Sequence[str] = ()

    @property
    def label(self) -> str:
        """The values of the differing keys: `loss.temperature=4 loss.alpha=0.5`."""
        words = [f"{short_key(key)}={value_text(value)}" for key, value in self.values.items()]
        return " ".join(words or [f"no {short_key(key)}" for key in self.absent])

    @property
    def config(self) -> Mapping[str, Any]:
        """The config that the runs have in common; see `Run.config`."""
        return next(iter(self.runs.values())).config


@dataclass(frozen=True)
class Group:
    """Settings whose results are comparable.

    Attributes:
        differing: the keys in which the settings differ, in the config's order.
        settings: the settings, sorted by their values.
        reasons: sentences that say why the results aren't comparable with those of the first
            group.
    """

    differing: Sequence[str]
    settings: Sequence[Setting]
    reasons: Sequence[str]


def group(runs: Sequence[Run], compared_keys: Collection[str]) -> tuple[list[Group], list[LeftOut]]:
    """Group runs whose results are comparable, the largest group first.

    Args:
        runs: finished runs.
        compared_keys: keys that the user compares by, which therefore don't separate groups.

    Returns:
        The groups, and the runs that are left out, as a later run has the same setting and seed.
    """
    by_conditions: dict[Any, list[tuple[Run, Conditions]]] = {}
    for run, conditions in zip(runs, find_conditions(runs, compared_keys), strict=True):
        hashable = tuple(
            frozenset((key, value_text(value)) for key, value in values.items())
            for values in conditions.values()
        )
        by_conditions.setdefault(hashable, []).append((run, conditions))
    members = sorted(by_conditions.values(), key=len, reverse=True)
    groups, repeated = [], []
    for group_members in members:
        settings, repeated_in_group = _settings([run for run, _ in group_members])
        reasons = incomparable_reasons(members[0][0][1], group_members[0][1])
        groups.append(_group(settings, reasons))
        repeated += repeated_in_group
    return groups, repeated


def _settings(runs: Iterable[Run]) -> tuple[list[dict[int, Run]], list[LeftOut]]:
    """Return seed -> run for each setting, and the runs that a later run replaces."""
    by_config: dict[Any, dict[int, Run]] = {}
    repeated = []
    for run in sorted(runs, key=lambda run: run.started, reverse=True):
        seeds = by_config.setdefault(frozenset(run.config_texts.items()), {})
        latest = seeds.setdefault(run.seed, run)
        if latest is not run:
            reason = f"the same setting and seed as {latest.path}, which began later and counts"
            repeated.append(LeftOut(run.path, "repeated", reason))
    return [dict(sorted(seeds.items())) for seeds in by_config.values()], repeated


def _group(runs_of_settings: Sequence[Mapping[int, Run]], reasons: Sequence[str]) -> Group:
    first_runs = [next(iter(runs.values())) for runs in runs_of_settings]
    keys = _differing([run.config_texts for run in first_runs])
    configs = [run.config for run in first_runs]
    settings = [
        Setting(
            {key: config[key] for key in keys if key in config},
            runs,
            [key for key in keys if key not in config],
        )
        for config, runs in zip(configs, runs_of_settings, strict=True)
    ]
    settings.sort(key=lambda setting: [sort_key(setting.values.get(key)) for key in keys])
    return Group(keys, settings, reasons)


def _differing(configs: Sequence[Mapping[str, str]]) -> list[str]:
    """Return few keys that distinguish the configs, in the order of the config.

    Keys that only some configs have, keys whose values follow from the name in their node, and the
    teacher's fingerprint are used only if the other keys don't distinguish the configs.
    """
    values = {
        key: [config.get(key) for config in configs]
        for key in dict.fromkeys(key for config in configs for key in config)
    }
    varied = {key: texts for key, texts in values.items() if len({*texts} - {None}) > 1}
    independent = [key for key, texts in varied.items() if not _follows(key, texts, varied)]
    without_teacher = [key for key in independent if key != TEACHER]
    for keys in (without_teacher, independent):
        if len(set(zip(*(values[key] for key in keys), strict=True))) == len(configs):
            return keys
    return [key for key, texts in values.items() if len(set(texts)) > 1]


def _follows(key: str, values: Sequence[Any], varied: Mapping[str, Sequence[Any]]) -> bool:
    """Return whether a key's values follow from the name in its node, such as `loss.name`.

    Args:
        key: the key.
        values: the value of the key in each config.
        varied: key -> value in each config, for the keys whose values vary.
    """
    node = key.partition(".")[0]
    names = [name for name in (node, f"{node}.name") if name in varied and name != key]
    return any(
        len(set(zip(varied[name], values, strict=True))) == len(set(varied[name])) for name in names
    )
