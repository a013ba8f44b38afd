"""What a user asks of a comparison: keys, values and metrics, found among those that are there."""

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
    """What is asked, in keys of the config.

    Attributes:
        metric: the figure to compare; empty for top-1.
        model: the row that settings are judged by; empty for the last of a run.
        by: the key to average by; empty for none.
        where: which runs count.
        baseline: what settings are held against: values of keys.
        versus: or a row of the same runs, such as alone.
        sort: a metric or a key to sort by; empty for the values' own order.
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
        """What is compared by, and so tells no runs apart."""
        return {*self.baseline, *([self.by] if self.by else [])}


def resolve_query(query: Query, runs: Sequence[Run]) -> tuple[Query, list[Run]]:
    """The same in keys that the runs have, and the runs that it is about, if there are any.

    A config group without a name of its own, such as recipe, becomes a key of these runs.

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
        raise UserError(f"no run has {values_text(found.where)}.", *_there(found.where, runs))
    if kept and not any(has_values(run.config, found.baseline) for run in kept):
        raise UserError(
            f"no run that is compared has the baseline's {values_text(found.baseline)}.",
            *_there(found.baseline, kept),
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
    """A run's config with its seed, by which runs are kept and never told apart."""
    return {**run.config, _SEED: run.seed}


def has_values(values: Mapping[str, Any], wanted: KeyValues) -> bool:
    """Whether each key has one of the values that are wanted of it."""
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
    """Runs whose configs have the choices of groups that are asked for, such as recipe=quick."""
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


def _there(wanted: KeyValues, runs: Sequence[Run]) -> list[str]:
    """The values that there are of each key."""
    lines = []
    for key in wanted:
        own = [_with_seed(run) for run in runs]
        values = {value_text(one[key]): one[key] for one in own if key in one}
        texts = [value_text(value) for value in sorted(values.values(), key=sort_key)]
        lines.append(f"  {short_key(key)} is {', '.join(texts)}")
    return lines
