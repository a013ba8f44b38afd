"""Layers by a glob of their paths."""

from collections.abc import Sequence
from fnmatch import fnmatch

from kdrun.core.errors import UserError

_SHOWN = 5


def fitting(known: Sequence[str], glob: str, what: str) -> list[str]:
    """Those of the paths of a network's layers that fit a glob.

    Args:
        known: paths of layers of the kind that is meant, with weights in float.
        glob: of module paths.
        what: such a layer is called.

    Raises:
        UserError: none fits.
    """
    found = [path for path in known if fnmatch(path, glob)]
    if not found:
        more = ", ..." if len(known) > _SHOWN else ""
        raise UserError(
            f"no {what} has a path like {glob!r}.",
            f"  there are {', '.join(known[:_SHOWN])}{more}"
            if known
            else "  this network has none in float",
        )
    return found
