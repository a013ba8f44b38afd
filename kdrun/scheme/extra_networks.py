"""Networks beside teacher and student, which a setting of the scheme lists."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from kdrun.core.config import Network, Taps

_NO_TAPS = dict.fromkeys(Taps.model_fields)


def _check_node(node: dict[str, Any]) -> dict[str, Any]:
    """Return the node if it has the form of a network's config; its settings are checked later."""
    try:
        _network(node)
    except (ValidationError, TypeError):
        message = (
            "should be a model's name, or {name: MODEL, KEY: VALUE, taps: {stages: [PATH,...]}}"
        )
        raise PydanticCustomError("model_node", message) from None
    return node


def _network(node: Mapping[str, Any]) -> Network:
    taps = {**_NO_TAPS, **(node.get("taps") or {})}
    return Network.model_validate({**node, "taps": taps})


Models = Annotated[
    list[Annotated[dict[str, Any], AfterValidator(_check_node)]], Field(min_length=1, max_length=16)
]


def extra_networks(key: str, nodes: Sequence[Mapping[str, Any]]) -> dict[str, Network]:
    """Return the networks of a scheme's setting by their keys in the config: `scheme.KEY.0`, ..."""
    return {f"scheme.{key}.{number}": _network(node) for number, node in enumerate(nodes)}
