"""The conditions under which results of runs compare, and the reasons why others don't."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kdrun.compare.gather import Run
from kdrun.compare.keys import short_key, value_text
from kdrun.core.records.summary import EAGER

Conditions = Mapping[str, Mapping[str, Any]]  # criterion -> key -> value

_IMAGES = ("dataset.name", "dataset.classes", "dataset.class_map")
_SPLIT = ("dataset.validation", "dataset.test", "dataset.split_seed")
_TIMING = ("runtime", "device", "threads", "batch", "dtype")
ABSENT = "(absent)"
_SHOWN = 3  # keys that a reason names

# Criterion -> how a group that differs in it is described.
_CRITERIA = {
    "format": "a run folder of another format",
    "dataset": "another dataset",
    "split": "another split",
    "recipe": "another recipe",
    "teacher": "another teacher",
    "latency": "latency timed otherwise",
}


def find_conditions(runs: Sequence[Run], compared_keys: Collection[str]) -> list[Conditions]:
    """Return the conditions of each run; runs with the same conditions compare.

    Keys that vary within one sweep were varied to compare them, and are no condition, nor are
    `compared_keys`; but the test images always are.
    """
    free = {*compared_keys, *_varied(runs)}
    known: dict[Any, set[str]] = {}
    for run in runs:
        known.setdefault(_data(run), set()).update(filter(None, [run.summary.get("held_out")]))
    return [_of(run, free, known[_data(run)]) for run in runs]


def incomparable_reasons(first: Conditions, other: Conditions) -> list[str]:
    """Return why results under other conditions don't compare with those of table 1."""
    found = []
    for criterion, told in _CRITERIA.items():
        ours, theirs = first[criterion], other[criterion]
        keys = [key for key in {**theirs, **ours} if _value(ours, key) != _value(theirs, key)]
        if keys and not (criterion == "split" and first["dataset"] != other["dataset"]):
            words = [
                f"{short_key(key)}={_value(theirs, key)}, not {_value(ours, key)}" for key in keys
            ]
            left = len(words) - _SHOWN
            more = f", and {left} more key{'s' if left > 1 else ''}" if left > 0 else ""
            found.append(f"{told} than table 1: {'; '.join(words[:_SHOWN])}{more}")
    return [f"{sentence[0].upper()}{sentence[1:]}." for sentence in found]


def _value(values: Mapping[str, Any], key: str) -> str:
    return value_text(values[key]) if key in values else ABSENT


def _varied(runs: Sequence[Run]) -> set[str]:
    """Return the keys that vary within one sweep."""
    found: dict[Any, dict[str, str]] = {}
    varied: set[str] = set()
    for run in runs:
        if run.sweep is not None:
            first = found.setdefault(run.sweep, {})
            varied.update(
                key for key, mark in run.marks.items() if first.setdefault(key, mark) != mark
            )
    return varied


def _data(run: Run) -> Any:
    return tuple(run.marks.get(key) for key in (*_IMAGES, *_SPLIT))


def _of(run: Run, free: Collection[str], held_out: Collection[str]) -> Conditions:
    config = run.marks
    images = _below(config, _IMAGES)
    split = _below(config, _SPLIT)
    whole = next(iter(held_out)) if len(held_out) == 1 else "unknown"
    held = {*images, *split, *_below(config, tuple(free))}
    rest = [key for key in config if key not in held]
    timed = [row["latency"] for row in run.rows.values()]
    first = next((latency for latency in timed if latency), None)
    latency: dict[str, object] = {"runtime": EAGER, **first} if first else {}
    return {
        "format": {"format": run.format},
        "dataset": images,
        "split": {
            **split,
            "samples": run.summary.get("samples"),
            "held-out images": run.summary.get("held_out") or whole,
        },
        "recipe": {key: config[key] for key in rest if key.startswith(("recipe.", "dataset."))},
        "teacher": {key: config[key] for key in rest if key.startswith("teacher.")},
        "latency": {key: latency[key] for key in _TIMING if key in latency},
    }


def _below(config: Mapping[str, Any], tops: Sequence[str]) -> dict[str, Any]:
    """Return the given keys of a config, and the keys below them."""
    within = tuple(f"{top}." for top in tops)
    return {key: config[key] for key in config if key in tops or key.startswith(within)}
