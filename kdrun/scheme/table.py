"""The table of schemes: name on the command line -> "module:class". Importing it loads no torch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kdrun.core.registry import build

if TYPE_CHECKING:
    from kdrun.scheme.base import Scheme

SCHEMES = {
    "assistants": "kdrun.scheme.assistants:Assistants",
    "born_again": "kdrun.scheme.born_again:BornAgain",
    "concepts": "kdrun.scheme.concepts:Concepts",
    "dafl": "kdrun.scheme.data_free:DAFL",
    "deep_inversion": "kdrun.scheme.data_free:DeepInversion",
    "domain_shift": "kdrun.scheme.domain_shift:DomainShift",
    "moving_teacher": "kdrun.scheme.moving_teacher:MovingTeacher",
    "mutual": "kdrun.scheme.mutual:Mutual",
    "none": "kdrun.scheme.base:Scheme",
    "own_stages": "kdrun.scheme.own_stages:OwnStages",
    "progressive": "kdrun.scheme.progressive:Progressive",
    "shared_body": "kdrun.scheme.shared_body:SharedBody",
    "teachers": "kdrun.scheme.teachers:Teachers",
    "zskt": "kdrun.scheme.data_free:ZSKT",
}


def make_scheme(node: Mapping[str, Any]) -> "Scheme":
    """Return the scheme that a checked config node describes."""
    return build("scheme", SCHEMES, node)
