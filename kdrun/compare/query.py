"""What a user wants to compare, and the runs that have the keys and values that he names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kdrun.compare.gather import Run
from kdrun.compare.keys import is_value, short_key, sort_key, value_text
from kdrun.compare.metrics import metrics_of
from kdrun.core.errors import UserError
from kdrun.core.unknown import unknown_name

_SEED = "seed"
KeyValues = Mapping[str, Sequence[str]]  # key -> the texts of its values


@dataclass(frozen=True)
class Query:
    """What the user wants to compare.

    Attributes:
        metric: the name of the metric; empty for the leading one.
        model: the row that settings are judged by; empty for the last row of a run.
        by: the config key by which results are averaged over all other keys; empty for none.
        where: the values of config keys that runs must have to be compared.
        baseline: the values of config keys that make a setting a baseline for the others.
        versus: the row that the other rows of a setting are compared with, such as `alone`.
        sort: a metric or a key to sort by; empty to sort by the values of the differing keys.
    """

    metric: str = ""
    model: str = ""
    by: str = ""
    where: KeyValues = field(default_factory=dict)
    baseline: KeyValues = field(default_factory=dict)
    versus: str = ""
    sort: str = ""

    @property
    def keys(self) -> set[str]:
        """The keys that the user compares by, and that therefore don't separate tables."""
        return {*self.baseline, *([self.by] if self.by else [])}


def resolve_query(query: Query, runs: Sequence[Run]) -> tuple[Query, list[Run]]:
    """Replace the query's short keys by full keys, and select the runs that it asks for.

    A key of the query may also be a config group, such as recipe. Then the name of each run's
    choice, such as quick, is added to its config.

    Returns:
        The query in full keys, and the selected runs.

    Raises:
        UserError: no run has such a key, value, row, or metric; or `by` has the same value in all.
    """
    metrics = {name for run in runs for name in metrics_of(run.summary)}
    _require_known("metric", [query.metric], metrics)
    _require_known(
        "row", [query.model, query.versus], dict.fromkeys(row for run in runs for row in run.rows)
    )
    compared_keys = [*query.baseline, query.by]
    if query.sort not in metrics:
        compared_keys.append(query.sort)
    runs = _with_choices(runs, [short_key(key) for key in (*query.where, *compared_keys)])
    keys = {short_key(key): key for key in dict.fromkeys(key for run in runs for key in run.config)}
    keys_or_seed = {**keys, _SEED: _SEED}
    _require_known("key", map(short_key, query.where), keys_or_seed)
    _require_known("key", map(short_key, compared_keys), keys)
    resolved = replace(
        query,
        by=keys.get(short_key(query.by), ""),
        where={keys_or_seed[short_key(key)]: values for key, values in query.where.items()},
        baseline={keys[short_key(key)]: values for key, values in query.baseline.items()},
        sort=query.sort if query.sort in metrics else keys.get(short_key(query.sort), ""),
    )
    selected = [run for run in runs if has_values(_with_seed(run), resolved.where)]
    if runs and not selected:
        raise UserError(
            f"no run has {values_text(resolved.where)}.", *_existing_values(resolved.where, runs)
        )
    if selected and not any(has_values(run.config, resolved.baseline) for run in selected):
        raise UserError(
            f"no run that is compared has the baseline's {values_text(resolved.baseline)}.",
            *_existing_values(resolved.baseline, selected),
        )
    _require_different_values(resolved.by, selected)
    return resolved, selected


def _require_different_values(by: str, runs: Sequence[Run]) -> None:
    """Raise a UserError if all runs have the same value of the key `by`."""
    values = {run.config_texts.get(by) for run in runs}
    if by and len(values) == 1:
        keys = dict.fromkeys(key for run in runs for key in run.config)
        differing = [
            short_key(key) for key in keys if len({run.config_texts.get(key) for run in runs}) > 1
        ]
        raise UserError(
            f"--by {short_key(by)}: it is {values.pop()} in all of these runs.",
            f"  keys that differ: {', '.join(differing) or 'none'}",
        )


def _with_seed(run: Run) -> Mapping[str, Any]:
    """Return a run's config and its seed, as the query may select runs by the seed, too."""
    return {**run.config, _SEED: run.seed}


def has_values(config: Mapping[str, Any], wanted: KeyValues) -> bool:
    """Return whether a config has, for each wanted key, one of the wanted values."""
    return all(
        key in config and any(is_value(config[key], text) for text in texts)
        for key, texts in wanted.items()
    )


def values_text(wanted: KeyValues) -> str:
    """Return keys and values as they are typed: `loss.temperature=1,4 seed=0`."""
    return " ".join(f"{short_key(key)}={','.join(texts)}" for key, texts in wanted.items())


def _require_known(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise a UserError for the first name that is not known; empty names are skipped."""
    known_names = list(known)
    for name in names:
        if name and name not in known_names:
            description = kind if kind == "metric" else f"{kind} of these runs"
            raise unknown_name(description, name, known_names)


def _with_choices(runs: Sequence[Run], keys: Iterable[str]) -> list[Run]:
    """Return the runs with the choices of config groups added to their configs: `recipe: quick`.

    Args:
        runs: the runs.
        keys: short keys; those that no config has are taken for config groups.
    """
    config_keys = {_SEED, *(short_key(key) for run in runs for key in run.config)}
    groups = [key for key in keys if key and key not in config_keys]
    if not groups:
        return list(runs)
    extended = []
    for run in runs:
        choices = run.folder.choices()
        group_choices = {group: choices[group] for group in groups if group in choices}
        extended.append(replace(run, config={**run.config, **group_choices}))
    return extended


def _existing_values(wanted: KeyValues, runs: Sequence[Run]) -> list[str]:
    """Return a line for each wanted key, with the values that the runs have."""
    configs = [_with_seed(run) for run in runs]
    lines = []
    for key in wanted:
        values = {value_text(config[key]): config[key] for config in configs if key in config}
        texts = [value_text(value) for value in sorted(values.values(), key=sort_key)]
        lines.append(f"  {short_key(key)} is {', '.join(texts)}")
    return lines
