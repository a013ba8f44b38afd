"""Selects layers by a glob of their module paths."""

from collections.abc import Sequence
from fnmatch import fnmatch

from kdrun.core.errors import UserError

_MAX_LISTED = 5  # paths that a message lists


def match_layers(paths: Sequence[str], glob: str, description: str) -> list[str]:
    """Return the paths that match a glob.

    Args:
        paths: module paths of all layers that can be selected.
        glob: a pattern for `fnmatch`.
        description: the name of such a layer in error messages.

    Raises:
        UserError: no path matches.
    """
    matches = [path for path in paths if fnmatch(path, glob)]
    if not matches:
        more = ", ..." if len(paths) > _MAX_LISTED else ""
        raise UserError(
            f"no {description} has a path like {glob!r}.",
            f"  there are {', '.join(paths[:_MAX_LISTED])}{more}"
            if paths
            else "  this network has none in float",
        )
    return matches
