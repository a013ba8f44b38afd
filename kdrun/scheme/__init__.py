"""Who learns from whom: the plans of a run. Importing this package alone loads no torch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kdrun.core.registry import build
from kdrun.scheme.table import SCHEMES

if TYPE_CHECKING:
    from kdrun.scheme.base import Scheme


def make_scheme(node: Mapping[str, Any]) -> "Scheme":
    """The scheme that a checked node describes."""
    return build("scheme", SCHEMES, node)
