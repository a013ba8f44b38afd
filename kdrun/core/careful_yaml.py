"""Refuses YAML files whose aliases expand into more values than fit in memory."""

from pathlib import Path

import yaml

from kdrun.core.errors import UserError

_MOST_BYTES = 1_000_000  # more than any config has
_MOST_VALUES = 100_000  # after aliases are expanded


def refuse_large_yaml(path: Path) -> None:
    """Refuse a YAML file that is too large for a config, as it is or once aliases are expanded.

    Raises:
        UserError: the file has too many bytes, or its aliases expand into too many values.
        yaml.YAMLError: the file is not YAML.
    """
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise UserError(f"{str(path)!r} has {size:,} bytes, too many for a config.")
    with path.open(encoding="utf-8") as file:
        root = yaml.compose(file, Loader=yaml.SafeLoader)
    if root is not None and _count_values(root, {}) > _MOST_VALUES:
        raise UserError(
            f"{str(path)!r} unfolds into more than {_MOST_VALUES:,} values:"
            " its aliases name each other."
        )


def yaml_error(path: Path, error: Exception) -> UserError:
    """Return the error for a file that is not YAML, with the line if the parser knows it."""
    mark = getattr(error, "problem_mark", None)
    line = f", line {mark.line + 1}" if mark is not None else ""
    reason = getattr(error, "problem", None) or (str(error).splitlines() or [""])[0]
    return UserError(f"{str(path)!r}{line}: {reason}.")


def _count_values(node: yaml.Node, known: dict[int, float]) -> float:
    """Return the values below a node, with those of an alias each time; infinite for a cycle.

    Args:
        node: a parsed YAML node.
        known: counts of nodes that are counted already, by `id`; it is filled.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = float("inf")
        pairs = isinstance(node, yaml.MappingNode)
        children = [child for pair in node.value for child in pair] if pairs else node.value
        known[id(node)] = 1 + sum(_count_values(child, known) for child in children)
    return known[id(node)]
