"""Config keys and values as texts, in the form of the command line."""

from collections.abc import Iterator, Mapping
from typing import Any

from kdrun.task import CLASSIFICATION

# Keys that results don't depend on, each with the keys below it.
_IRRELEVANT = (
    "seed", "name", "tags", "threads", "controls", "plugins", "output_root", "launcher",
    "logger", "search", "checkpoint_seconds", "check", "debug", "export", "export_options",
    "evaluate",
    "dataset.root", "dataset.download", "dataset.memory_limit", "dataset.workers",
    "dataset.original",
)  # fmt: skip
_BELOW_IRRELEVANT = tuple(f"{key}." for key in _IRRELEVANT)
# Keys that older runs do not have -> the value with which a run is as without the key.
_NEUTRAL = {
    "dataset.task": CLASSIFICATION,
    "recipe.repeat_labeled": False,
    "teacher.checkpoint_key": None,
    "student.layers": None,
    "student.lora": None,
    **{
        f"{network}.taps.{role}": None
        for network in ("teacher", "student")
        for role in ("tokens", "queries", "keys", "values")
    },
}
TEACHER = "teacher.fingerprint"  # the key added for a teacher that the config names by a path
_REVISION = "loss.revision."  # what the keys added for corrected losses begin with
_TEACHER_PATHS = ("teacher.run", "teacher.checkpoint")
_CONSTANTS = {None: "null", True: "true", False: "false"}
_EXACT_BELOW = 1e15  # floats below this represent whole numbers exactly


def flatten_config(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted key -> value for all keys that results may depend on, except the seed.

    Of the device, only the kind is kept, without the index. How latencies are measured is left
    out, as the rows of the results record it, and so are neutral values of keys that older runs do
    not have.
    """
    return {
        key: str(value).partition(":")[0] if key == "device" else value
        for top, node in tree.items()
        if top not in _IRRELEVANT
        for key, value in _leaves(str(top), node)
        if key not in _IRRELEVANT
        and not key.startswith(_BELOW_IRRELEVANT)
        and not (key in _NEUTRAL and value == _NEUTRAL[key])
    }


def add_given_teacher(config: dict[str, Any], fingerprint: str | None) -> dict[str, Any]:
    """Return the config, with the teacher's fingerprint where only a path names the teacher."""
    is_from_path = fingerprint and any(config.get(key) for key in _TEACHER_PATHS)
    return {**config, TEACHER: fingerprint} if is_from_path else config


def add_revisions(config: dict[str, Any], revisions: Mapping[str, int]) -> dict[str, Any]:
    """Return the config, with the revisions of what computes other values than before."""
    return config | {f"{_REVISION}{name}": revision for name, revision in revisions.items()}


def _leaves(key: str, node: Any) -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of each leaf; a list of plain values is a leaf."""
    children: Mapping[Any, Any] = node if isinstance(node, dict) else {}
    if isinstance(node, list) and any(isinstance(item, dict) for item in node):
        children = dict(enumerate(node))
    if not children:
        yield key, node
    for name, value in children.items():
        yield from _leaves(f"{key}.{name}", value)


def short_key(key: str) -> str:
    """Return a key as the command line takes it: `loss` for `loss.name`."""
    return key.removesuffix(".name")


def value_text(value: Any) -> str:
    """Return a value as the command line takes it; equal numbers give equal texts: `4` for 4.0."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return _CONSTANTS[value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_BELOW:
        return str(int(value))
    if isinstance(value, list):
        return f"[{','.join(map(value_text, value))}]"
    return str(value)


def is_value(value: Any, text: str) -> bool:
    """Return whether a text of the command line stands for a value: `4`, `4.0`, `4e0` for 4."""
    if value_text(value) == text:
        return True
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return float(text) == value
    except ValueError:
        return False


def sort_key(value: Any) -> tuple[int, float, str]:
    """Return a key that sorts numbers by size, before texts."""
    if isinstance(value, int | float):
        return (0, float(value), "")
    return (1, 0.0, value_text(value))
