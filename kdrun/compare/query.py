"""What a user asks of a comparison: keys, values and metrics, found among those that are there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kdrun.compare.gather import Run
from kdrun.compare.keys import rank, said, same, short
from kdrun.compare.metrics import METRICS
from kdrun.core.errors import UserError
from kdrun.core.unknown import unknown_name

_SEED = "seed"
Wanted = Mapping[str, Sequence[str]]  # key -> the texts of its values


@dataclass(frozen=True)
class Asked:
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
    where: Wanted = field(default_factory=dict)
    baseline: Wanted = field(default_factory=dict)
    versus: str = ""
    sort: str = ""

    @property
    def keys(self) -> set[str]:
        """What is compared by, and so tells no runs apart."""
        return {*self.baseline, *([self.by] if self.by else [])}


def settle(asked: Asked, runs: Sequence[Run]) -> tuple[Asked, list[Run]]:
    """The same in keys that the runs have, and the runs that it is about, if there are any.

    A config group without a name of its own, such as recipe, becomes a key of these runs.

    Raises:
        UserError: no run has such a key, value, row, or metric; or all are alike in `by`.
    """
    _known("metric", [asked.metric], METRICS)
    _known(
        "row", [asked.model, asked.versus], dict.fromkeys(row for run in runs for row in run.rows)
    )
    wanted = [*asked.baseline, asked.by]
    if asked.sort not in METRICS:
        wanted.append(asked.sort)
    runs = _with_choices(runs, [short(word) for word in (*asked.where, *wanted)])
    keys = {short(key): key for key in dict.fromkeys(key for run in runs for key in run.config)}
    keys_or_seed = {**keys, _SEED: _SEED}
    _known("key", map(short, asked.where), keys_or_seed)
    _known("key", map(short, wanted), keys)
    found = replace(
        asked,
        by=keys.get(short(asked.by), ""),
        where={keys_or_seed[short(key)]: values for key, values in asked.where.items()},
        baseline={keys[short(key)]: values for key, values in asked.baseline.items()},
        sort=asked.sort if asked.sort in METRICS else keys.get(short(asked.sort), ""),
    )
    kept = [run for run in runs if fits(_with_seed(run), found.where)]
    if runs and not kept:
        raise UserError(f"no run has {told(found.where)}.", *_there(found.where, runs))
    if kept and not any(fits(run.config, found.baseline) for run in kept):
        raise UserError(
            f"no run that is compared has the baseline's {told(found.baseline)}.",
            *_there(found.baseline, kept),
        )
    _differs(found.by, kept)
    return found, kept


def _differs(by: str, runs: Sequence[Run]) -> None:
    values = {run.marks.get(by) for run in runs}
    if by and len(values) == 1:
        keys = dict.fromkeys(key for run in runs for key in run.config)
        differing = [short(key) for key in keys if len({run.marks.get(key) for run in runs}) > 1]
        raise UserError(
            f"--by {short(by)}: it is {values.pop()} in all of these runs.",
            f"  keys that differ: {', '.join(differing) or 'none'}",
        )


def _with_seed(run: Run) -> Mapping[str, Any]:
    """A run's config with its seed, by which runs are kept and never told apart."""
    return {**run.config, _SEED: run.seed}


def fits(values: Mapping[str, Any], wanted: Wanted) -> bool:
    """Whether each key has one of the values that are wanted of it."""
    return all(
        key in values and any(same(values[key], text) for text in texts)
        for key, texts in wanted.items()
    )


def told(wanted: Wanted) -> str:
    return " ".join(f"{short(key)}={','.join(texts)}" for key, texts in wanted.items())


def _known(what: str, words: Iterable[str], known: Iterable[str]) -> None:
    names = list(known)
    for word in words:
        if word and word not in names:
            raise unknown_name(what if what == "metric" else f"{what} of these runs", word, names)


def _with_choices(runs: Sequence[Run], words: Iterable[str]) -> list[Run]:
    """Runs whose configs have the choices of groups that are asked for, such as recipe=quick."""
    known = {_SEED, *(short(key) for run in runs for key in run.config)}
    groups = [word for word in words if word and word not in known]
    if not groups:
        return list(runs)
    made = []
    for run in runs:
        choices = run.folder.choices()
        own = {group: choices[group] for group in groups if group in choices}
        made.append(replace(run, config={**run.config, **own}))
    return made


def _there(wanted: Wanted, runs: Sequence[Run]) -> list[str]:
    """The values that there are of each key."""
    lines = []
    for key in wanted:
        own = [_with_seed(run) for run in runs]
        values = {said(one[key]): one[key] for one in own if key in one}
        texts = [said(value) for value in sorted(values.values(), key=rank)]
        lines.append(f"  {short(key)} is {', '.join(texts)}")
    return lines
