"""What a user asks of a comparison, with the keys and values resolved among the runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kdrun.compare.gather import Run
from kdrun.compare.keys import is_value, short_key, sort_key, value_text
from kdrun.compare.metrics import METRICS
from kdrun.core.errors import UserError
from kdrun.core.unknown import unknown_name

_SEED = "seed"
KeyValues = Mapping[str, Sequence[str]]  # key -> the texts of its values


@dataclass(frozen=True)
class Query:
    """What to compare, in keys of the config.

    Attributes:
        metric: the name of the metric; empty for the leading one.
        model: the row that settings are judged by; empty for the last row of a run.
        by: the key whose values are averaged over all other keys; empty for none.
        where: values of keys that runs must have.
        baseline: values of keys of the settings that others are compared with.
        versus: the row that others are compared with, instead: such as `alone`.
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
    """Resolve the query's keys among those of the runs, and keep the runs that it asks for.

    A config group whose node has no name, such as recipe, becomes a key of these runs.

    Returns:
        The query in full keys, and the runs that are kept.

    Raises:
        UserError: no run has such a key, value, row, or metric; or all are alike in `by`.
    """
    _known("metric", [query.metric], METRICS)
    _known(
        "row", [query.model, query.versus], dict.fromkeys(row for run in runs for row in run.rows)
    )
    wanted = [*query.baseline, query.by]
    if query.sort not in METRICS:
        wanted.append(query.sort)
    runs = _with_choices(runs, [short_key(word) for word in (*query.where, *wanted)])
    keys = {short_key(key): key for key in dict.fromkeys(key for run in runs for key in run.config)}
    keys_or_seed = {**keys, _SEED: _SEED}
    _known("key", map(short_key, query.where), keys_or_seed)
    _known("key", map(short_key, wanted), keys)
    found = replace(
        query,
        by=keys.get(short_key(query.by), ""),
        where={keys_or_seed[short_key(key)]: values for key, values in query.where.items()},
        baseline={keys[short_key(key)]: values for key, values in query.baseline.items()},
        sort=query.sort if query.sort in METRICS else keys.get(short_key(query.sort), ""),
    )
    kept = [run for run in runs if has_values(_with_seed(run), found.where)]
    if runs and not kept:
        raise UserError(
            f"no run has {values_text(found.where)}.", *_known_values(found.where, runs)
        )
    if kept and not any(has_values(run.config, found.baseline) for run in kept):
        raise UserError(
            f"no run that is compared has the baseline's {values_text(found.baseline)}.",
            *_known_values(found.baseline, kept),
        )
    _differs(found.by, kept)
    return found, kept


def _differs(by: str, runs: Sequence[Run]) -> None:
    values = {run.marks.get(by) for run in runs}
    if by and len(values) == 1:
        keys = dict.fromkeys(key for run in runs for key in run.config)
        differing = [
            short_key(key) for key in keys if len({run.marks.get(key) for run in runs}) > 1
        ]
        raise UserError(
            f"--by {short_key(by)}: it is {values.pop()} in all of these runs.",
            f"  keys that differ: {', '.join(differing) or 'none'}",
        )


def _with_seed(run: Run) -> Mapping[str, Any]:
    """Return a run's config with its seed, which `where` may name too."""
    return {**run.config, _SEED: run.seed}


def has_values(values: Mapping[str, Any], wanted: KeyValues) -> bool:
    """Return whether each key has one of its wanted values."""
    return all(
        key in values and any(is_value(values[key], text) for text in texts)
        for key, texts in wanted.items()
    )


def values_text(wanted: KeyValues) -> str:
    return " ".join(f"{short_key(key)}={','.join(texts)}" for key, texts in wanted.items())


def _known(what: str, words: Iterable[str], known: Iterable[str]) -> None:
    names = list(known)
    for word in words:
        if word and word not in names:
            raise unknown_name(what if what == "metric" else f"{what} of these runs", word, names)


def _with_choices(runs: Sequence[Run], words: Iterable[str]) -> list[Run]:
    """Return runs whose configs have the choices of the groups in `words`: `recipe: quick`."""
    known = {_SEED, *(short_key(key) for run in runs for key in run.config)}
    groups = [word for word in words if word and word not in known]
    if not groups:
        return list(runs)
    made = []
    for run in runs:
        choices = run.folder.choices()
        own = {group: choices[group] for group in groups if group in choices}
        made.append(replace(run, config={**run.config, **own}))
    return made


def _known_values(wanted: KeyValues, runs: Sequence[Run]) -> list[str]:
    """Return a line for each wanted key, with the values that the runs have."""
    lines = []
    for key in wanted:
        own = [_with_seed(run) for run in runs]
        values = {value_text(one[key]): one[key] for one in own if key in one}
        texts = [value_text(value) for value in sorted(values.values(), key=sort_key)]
        lines.append(f"  {short_key(key)} is {', '.join(texts)}")
    return lines
