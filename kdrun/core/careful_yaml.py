"""Reads YAML files, but none whose aliases expand into more values than fit in memory."""

from io import BufferedReader
from pathlib import Path
from typing import Any

import yaml

from kdrun.core import limits
from kdrun.core.errors import UserError
from kdrun.core.reading import read_all

_MAX_VALUES = 100_000  # after aliases are expanded


def read_yaml(file: BufferedReader) -> Any:
    """Return the values of an open YAML file, and close the file.

    Raises:
        UserError: the file has too many bytes, or its values nest too deep, or its aliases
            expand into too many values.
        UnicodeDecodeError, yaml.YAMLError: the file is not YAML.
    """
    path, text = file.name, read_all(file, limits.YAML).decode()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        count = 0 if root is None else _count_values(root, {})
    except RecursionError as error:
        raise UserError(f"{path!r} nests its values too deep for a config.") from error
    if count > _MAX_VALUES:
        raise UserError(
            f"{path!r} unfolds into more than {_MAX_VALUES:,} values: its aliases name each other."
        )
    return yaml.safe_load(text)


def yaml_error(path: Path, error: Exception) -> UserError:
    """Return the error for a file that is not YAML, with the line if the parser knows it."""
    mark = getattr(error, "problem_mark", None)
    line = f", line {mark.line + 1}" if mark is not None else ""
    reason = getattr(error, "problem", None) or (str(error).splitlines() or [""])[0]
    return UserError(f"{str(path)!r}{line}: {reason}.")


def _count_values(node: yaml.Node, counts: dict[int, float]) -> float:
    """Return the number of values in a node with its aliases expanded; infinity for a cycle.

    Args:
        node: a parsed YAML node.
        counts: results for earlier nodes, by `id`; this node's result is added.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in counts:
        counts[id(node)] = float("inf")
        is_mapping = isinstance(node, yaml.MappingNode)
        children = [child for pair in node.value for child in pair] if is_mapping else node.value
        counts[id(node)] = 1 + sum(_count_values(child, counts) for child in children)
    return counts[id(node)]
