"""YAML files that somebody may have sent: read after a look at what they unfold into."""

from pathlib import Path

import yaml

from kdrun.core.errors import UserError

_BYTES = 1_000_000  # more than any config has
_NODES = 100_000  # that aliases may unfold into


def refuse_large_yaml(path: Path) -> None:
    """Refuse a file that is small to send and large to hold.

    Raises:
        UserError: it is larger than a config, or its aliases name each other over and over.
        yaml.YAMLError: it is no YAML.
    """
    size = path.stat().st_size
    if size > _BYTES:
        raise UserError(f"{str(path)!r} has {size:,} bytes, too many for a config.")
    with path.open(encoding="utf-8") as file:
        root = yaml.compose(file, Loader=yaml.SafeLoader)
    if root is not None and _unfolded(root, {}) > _NODES:
        raise UserError(
            f"{str(path)!r} unfolds into more than {_NODES:,} values: its aliases name each other."
        )


def yaml_error(path: Path, error: Exception) -> UserError:
    """Why a file is no YAML, with its line where the reader knows it."""
    mark = getattr(error, "problem_mark", None)
    line = f", line {mark.line + 1}" if mark is not None else ""
    reason = getattr(error, "problem", None) or (str(error).splitlines() or [""])[0]
    return UserError(f"{str(path)!r}{line}: {reason}.")


def _unfolded(node: yaml.Node, known: dict[int, float]) -> float:
    """Values below a node, those behind an alias counted each time; infinite for a circle."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = float("inf")
        pairs = isinstance(node, yaml.MappingNode)
        parts = [part for pair in node.value for part in pair] if pairs else node.value
        known[id(node)] = 1 + sum(_unfolded(part, known) for part in parts)
    return known[id(node)]
