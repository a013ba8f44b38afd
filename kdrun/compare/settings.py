"""Settings, whose runs differ in the seed alone, and groups of comparable settings."""

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
        values: of the keys in which the group's settings differ.
        runs: seed -> run.
        absent: differing keys that these runs don't have.
    """

    values: Mapping[str, Any]
    runs: Mapping[int, Run]
    absent: Sequence[str] = ()

    @property
    def label(self) -> str:
        """The values that differ, as they are typed: `loss.temperature=4 loss.alpha=0.5`."""
        words = [f"{short_key(key)}={value_text(value)}" for key, value in self.values.items()]
        return " ".join(words or [f"no {short_key(key)}" for key in self.absent])

    @property
    def config(self) -> Mapping[str, Any]:
        return next(iter(self.runs.values())).config


@dataclass(frozen=True)
class Group:
    """Settings whose results compare.

    Attributes:
        differing: the keys that differ, in the config's order.
        settings: by their values.
        incomparable_reasons: why they can't be held against the first group's, in sentences.
    """

    differing: Sequence[str]
    settings: Sequence[Setting]
    reasons: Sequence[str]


def group(runs: Sequence[Run], compared_keys: Collection[str]) -> tuple[list[Group], list[LeftOut]]:
    """Group runs whose results compare, the largest group first.

    Args:
        runs: finished runs.
        compared_keys: keys that the user compares by, which therefore don't separate groups.

    Returns:
        The groups, and the runs that repeat the setting and seed of another.
    """
    by_conditions: dict[Any, list[tuple[Run, Conditions]]] = {}
    for run, held in zip(runs, find_conditions(runs, compared_keys), strict=True):
        key = tuple(
            frozenset((key, value_text(value)) for key, value in values.items())
            for values in held.values()
        )
        by_conditions.setdefault(key, []).append((run, held))
    members = sorted(by_conditions.values(), key=len, reverse=True)
    groups, repeated = [], []
    for group_members in members:
        settings, again = _settings([run for run, _ in group_members])
        why = incomparable_reasons(members[0][0][1], group_members[0][1])
        groups.append(_group(settings, why))
        repeated += again
    return groups, repeated


def _settings(runs: Iterable[Run]) -> tuple[list[dict[int, Run]], list[LeftOut]]:
    """Return seed -> run for each setting, and the runs that a later run replaces."""
    by_config: dict[Any, dict[int, Run]] = {}
    repeated = []
    for run in sorted(runs, key=lambda run: run.started, reverse=True):
        seeds = by_config.setdefault(frozenset(run.marks.items()), {})
        taken = seeds.setdefault(run.seed, run)
        if taken is not run:
            why = f"the same setting and seed as {taken.path}, which began later and counts"
            repeated.append(LeftOut(run.path, "repeated", why))
    return [dict(sorted(seeds.items())) for seeds in by_config.values()], repeated


def _group(settings: Sequence[Mapping[int, Run]], why: Sequence[str]) -> Group:
    firsts = [next(iter(runs.values())) for runs in settings]
    configs, keys = [run.config for run in firsts], _differing([run.marks for run in firsts])
    made = [
        Setting(
            {key: config[key] for key in keys if key in config},
            runs,
            [key for key in keys if key not in config],
        )
        for config, runs in zip(configs, settings, strict=True)
    ]
    made.sort(key=lambda setting: [sort_key(setting.values.get(key)) for key in keys])
    return Group(keys, made, why)


def _differing(configs: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the fewest keys that distinguish the configs, in their order.

    Keys that only some configs have, keys that follow from the name in their node, and the
    teacher's fingerprint are used only if no other keys distinguish them.
    """
    values = {
        key: [config.get(key) for config in configs]
        for key in dict.fromkeys(key for config in configs for key in config)
    }
    varied = {key: found for key, found in values.items() if len({*found} - {None}) > 1}
    kept = [key for key, found in varied.items() if not _follows(key, found, varied)]
    plain = [key for key in kept if key != TEACHER]
    for keys in (plain, kept):
        if len(set(zip(*(values[key] for key in keys), strict=True))) == len(configs):
            return keys
    return [key for key, found in values.items() if len(set(found)) > 1]


def _follows(key: str, values: Sequence[Any], varied: Mapping[str, Sequence[Any]]) -> bool:
    """Return whether a key's value follows from the name in its node."""
    part = key.partition(".")[0]
    names = [name for name in (part, f"{part}.name") if name in varied and name != key]
    return any(
        len(set(zip(varied[name], values, strict=True))) == len(set(varied[name])) for name in names
    )
