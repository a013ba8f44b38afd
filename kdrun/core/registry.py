"""Tables of parts: name -> "module:attribute", imported when asked and not before."""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from kdrun.core.errors import Fault, UserError, nearest

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)


def resolve(kind: str, table: Mapping[str, str], name: str) -> Callable[..., Any]:
    """Import the part that `table` has under `name`.

    Raises:
        UserError: no such name; the message has the nearest ones.
    """
    if name not in table:
        close = nearest(name, table)
        raise UserError(
            f"no {kind} is called {name!r}.",
            f"  nearest: {close}" if close else f"  all: {', '.join(sorted(table))}",
        )
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)


def keywords(part: Callable[..., Any], given: tuple[str, ...] = ()) -> dict[str, Any]:
    """The configurable parameters of a part: name -> annotation, without those in `given`."""
    signature = inspect.signature(part)
    return {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if name not in given and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


def check_node(
    where: str, node: Mapping[str, Any], part: Callable[..., Any], given: tuple[str, ...] = ()
) -> list[Fault]:
    """Hold a config node's keys against a part's signature; all faults, none raised.

    Args:
        where: the node's dotted key, for the messages.
        node: `{name: ..., key: value, ...}`.
        part: what the node's name stands for.
        given: parameters that kdrun passes itself.
    """
    fields: dict[str, Any] = {
        name: (annotation, ...) for name, annotation in keywords(part, given).items()
    }
    model = create_model("Node", __config__=STRICT, **fields)
    settings = {key: value for key, value in node.items() if key != "name" or "name" in fields}
    return check_model(where, settings, model, f"{node.get('name', where)!r}")


def check_model(
    where: str, settings: Mapping[str, Any], model: type[BaseModel], owner: str
) -> list[Fault]:
    """Hold plain settings against a pydantic model and put its complaints in our words."""
    try:
        model.model_validate(settings)
    except ValidationError as error:
        known = list(model.model_fields)
        return [_fault(where, dict(detail), known, owner) for detail in error.errors()]
    return []


def _fault(where: str, detail: dict[str, Any], known: list[str], owner: str) -> Fault:
    keys = [str(part) for part in detail["loc"]]
    path = ".".join([where, *keys]) if where else ".".join(keys)
    if detail["type"] == "extra_forbidden":
        close = nearest(keys[-1], known) if len(keys) == 1 else ""
        hint = f"nearest: {close}" if close else f"its keys: {', '.join(known)}"
        return Fault(path, f"unknown key of {owner}; {hint}")
    if detail["type"] == "missing":
        return Fault(path, "must be given")
    sentence = detail["msg"].replace("Input should be", "should be")
    return Fault(path, f"{detail['input']!r} {sentence[0].lower()}{sentence[1:]}")
