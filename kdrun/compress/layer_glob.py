"""Select layers by a glob of their module paths."""

from collections.abc import Sequence
from fnmatch import fnmatch

from kdrun.core.errors import UserError

_SHOWN = 5  # paths that a message lists


def match_layers(paths: Sequence[str], glob: str, description: str) -> list[str]:
    """The paths that match a glob.

    Args:
        paths: module paths of all layers that come into question.
        glob: a pattern for `fnmatch`.
        description: what the message of an error calls such a layer.

    Raises:
        UserError: no path matches.
    """
    matches = [path for path in paths if fnmatch(path, glob)]
    if not matches:
        more = ", ..." if len(paths) > _SHOWN else ""
        raise UserError(
            f"no {description} has a path like {glob!r}.",
            f"  there are {', '.join(paths[:_SHOWN])}{more}"
            if paths
            else "  this network has none in float",
        )
    return matches
