"""Networks that a scheme's key lists beside teacher and student."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from kdrun.core.config import Network, Taps

_NO_TAPS = dict.fromkeys(Taps.model_fields)


def _model(node: dict[str, Any]) -> dict[str, Any]:
    """Whether a node can be a network's part of the config, whatever the model asks for."""
    try:
        _network(node)
    except (ValidationError, TypeError):
        said = "should be a model's name, or {name: MODEL, KEY: VALUE, taps: {stages: [PATH,...]}}"
        raise PydanticCustomError("model_node", said) from None
    return node


def _network(node: Mapping[str, Any]) -> Network:
    taps = {**_NO_TAPS, **(node.get("taps") or {})}
    return Network.model_validate({**node, "taps": taps})


Models = Annotated[
    list[Annotated[dict[str, Any], AfterValidator(_model)]], Field(min_length=1, max_length=16)
]


def listed(key: str, nodes: Sequence[Mapping[str, Any]]) -> dict[str, Network]:
    """The networks of a scheme's key by their places in the config: `scheme.KEY.0`, ..."""
    return {f"scheme.{key}.{number}": _network(node) for number, node in enumerate(nodes)}
