"""Keys and values of configs, as one writes them on the command line."""

from collections.abc import Iterator, Mapping
from typing import Any

# Keys that no figure depends on, each with those below it.
_IDLE = (
    "seed", "name", "tags", "threads", "controls", "plugins", "output_root", "launcher",
    "logger", "search", "checkpoint_seconds", "check", "debug", "export", "export_options",
    "evaluate",
    "dataset.root", "dataset.download", "dataset.memory_limit", "dataset.workers",
    "dataset.original",
)  # fmt: skip
_BELOW_IDLE = tuple(f"{key}." for key in _IDLE)
TEACHER = "teacher.fingerprint"  # which one was given, whatever its path says
_GIVEN = ("teacher.run", "teacher.checkpoint")
_WORDS = {None: "null", True: "true", False: "false"}
_LARGE = 1e15  # whole numbers below it are exact


def flatten_config(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key -> value, of all keys that figures may depend on; the seed is left out.

    How long latencies were timed, and with what, stands with the figures themselves.
    """
    return {
        key: str(value).partition(":")[0] if key == "device" else value
        for top, node in tree.items()
        if top not in _IDLE
        for key, value in _leaves(str(top), node)
        if key not in _IDLE and not key.startswith(_BELOW_IDLE)
    }


def add_given_teacher(config: dict[str, Any], fingerprint: str | None) -> dict[str, Any]:
    """The same with which teacher it was, where config and seed don't tell: one from a path."""
    given = fingerprint and any(config.get(key) for key in _GIVEN)
    return {**config, TEACHER: fingerprint} if given else config


def _leaves(key: str, node: Any) -> Iterator[tuple[str, Any]]:
    inner: Mapping[Any, Any] = node if isinstance(node, dict) else {}
    if isinstance(node, list) and any(isinstance(item, dict) for item in node):
        inner = dict(enumerate(node))
    if not inner:
        yield key, node
    for name, value in inner.items():
        yield from _leaves(f"{key}.{name}", value)


def short_key(key: str) -> str:
    """A key as one types it: what a group's part is called is given by the group alone."""
    return key.removesuffix(".name")


def value_text(value: Any) -> str:
    """A value as one types it; whether a number is written 4 or 4.0 makes no difference."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return _WORDS[value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGE:
        return str(int(value))
    if isinstance(value, list):
        return f"[{','.join(map(value_text, value))}]"
    return str(value)


def is_value(value: Any, text: str) -> bool:
    """Whether a text of the command line means a value: 4, 4.0 and 4e0 are one number."""
    if value_text(value) == text:
        return True
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return float(text) == value
    except ValueError:
        return False


def sort_key(value: Any) -> tuple[int, float, str]:
    """Where a value stands among others: numbers by size, before texts, before what is absent."""
    if isinstance(value, int | float):
        return (0, float(value), "")
    return (1, 0.0, value_text(value))
