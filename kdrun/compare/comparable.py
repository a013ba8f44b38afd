"""The conditions that runs must share to be comparable, and why other runs aren't comparable."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kdrun.compare.gather import Run
from kdrun.compare.keys import short_key, value_text
from kdrun.core.number_format import capitalize, many
from kdrun.core.records.summary import EAGER
from kdrun.task import task_of

Conditions = Mapping[str, Mapping[str, Any]]  # criterion -> key -> value

_IMAGES = ("dataset.name", "dataset.classes", "dataset.class_map")
_SPLIT = ("dataset.validation", "dataset.test", "dataset.split_seed")
_TIMING = ("runtime", "device", "threads", "batch", "tokens", "dtype")
ABSENT = "(absent)"  # shown for a key that a config doesn't have
_MAX_KEYS = 3  # keys that one reason names

# Criterion -> description of runs that differ in it.
_CRITERIA = {
    "format": "a run folder of another format",
    "task": "another task",
    "dataset": "another dataset",
    "split": "another split",
    "recipe": "another recipe",
    "teacher": "another teacher",
    "latency": "latency timed otherwise",
}


def find_conditions(runs: Sequence[Run], compared_keys: Collection[str]) -> list[Conditions]:
    """Return the conditions of each run; runs are comparable if their conditions are equal.

    Keys that vary within one sweep were varied to compare them, so they are no conditions.

    Args:
        runs: all runs that are compared.
        compared_keys: keys that the user compares by, which are no conditions either. Keys of the
            images and their split always are.
    """
    free_keys = {*compared_keys, *_varied_keys(runs)}
    fingerprints: dict[Any, set[str]] = {}
    for run in runs:
        held_out = run.summary.get("held_out")
        fingerprints.setdefault(_data_keys(run), set()).update([held_out] if held_out else [])
    return [_conditions(run, free_keys, fingerprints[_data_keys(run)]) for run in runs]


def incomparable_reasons(first: Conditions, other: Conditions) -> list[str]:
    """Return sentences that say why results aren't comparable with those of table 1.

    Args:
        first: the conditions of table 1.
        other: the conditions of the other results.
    """
    reasons = []
    for criterion, description in _CRITERIA.items():
        expected, actual = first[criterion], other[criterion]
        keys = [
            key for key in {**actual, **expected} if _value(expected, key) != _value(actual, key)
        ]
        if keys and not (criterion == "split" and first["dataset"] != other["dataset"]):
            differences = [
                f"{short_key(key)}={_value(actual, key)}, not {_value(expected, key)}"
                for key in keys
            ]
            hidden = len(differences) - _MAX_KEYS
            more = f", and {many(hidden, 'more key')}" if hidden > 0 else ""
            listed = "; ".join(differences[:_MAX_KEYS])
            reasons.append(f"{description} than table 1: {listed}{more}")
    return [f"{capitalize(sentence)}." for sentence in reasons]


def _value(values: Mapping[str, Any], key: str) -> str:
    return value_text(values[key]) if key in values else ABSENT


def _varied_keys(runs: Sequence[Run]) -> set[str]:
    """Return the keys that vary within one sweep."""
    first_values: dict[Any, dict[str, str]] = {}  # sweep -> key -> value
    varied: set[str] = set()
    for run in runs:
        if run.sweep is not None:
            first = first_values.setdefault(run.sweep, {})
            varied.update(
                key
                for key, value in run.config_texts.items()
                if first.setdefault(key, value) != value
            )
    return varied


def _data_keys(run: Run) -> Any:
    """Return the config values that determine a run's images and their split."""
    return tuple(run.config_texts.get(key) for key in (*_IMAGES, *_SPLIT))


def _conditions(run: Run, free_keys: Collection[str], held_out: Collection[str]) -> Conditions:
    """Return the conditions of a run.

    Args:
        run: the run.
        free_keys: config keys that are no conditions.
        held_out: fingerprints of the held-out images that runs with the same data recorded; if
            there is one, it stands for this run's, too, if this run recorded none.
    """
    config = run.config_texts
    images = _below(config, _IMAGES)
    split = _below(config, _SPLIT)
    default_held_out = next(iter(held_out)) if len(held_out) == 1 else "unknown"
    used = {*images, *split, *_below(config, tuple(free_keys))}
    other_keys = [key for key in config if key not in used]
    latencies = [row["latency"] for row in run.rows.values()]
    first = next((latency for latency in latencies if latency), None)
    latency: dict[str, object] = {"runtime": EAGER, **first} if first else {}
    return {
        "format": {"format": run.format},
        "task": {"task": task_of(run.summary).name},
        "dataset": images,
        "split": {
            **split,
            "samples": run.summary["samples"],
            "held-out images": run.summary.get("held_out") or default_held_out,
        },
        "recipe": {
            key: config[key] for key in other_keys if key.startswith(("recipe.", "dataset."))
        },
        "teacher": {key: config[key] for key in other_keys if key.startswith("teacher.")},
        "latency": {key: latency[key] for key in _TIMING if key in latency},
    }


def _below(config: Mapping[str, Any], tops: Sequence[str]) -> dict[str, Any]:
    """Return the values of the keys in `tops`, and of the keys below them."""
    prefixes = tuple(f"{top}." for top in tops)
    return {key: config[key] for key in config if key in tops or key.startswith(prefixes)}
