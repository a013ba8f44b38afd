"""Tables of parts: name -> "module:attribute", imported when asked and not before."""

import inspect
import json
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Unpack, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from kdrun.core.config import MISSING
from kdrun.core.errors import Fault, UserError
from kdrun.core.unknown import unknown_name
from kdrun.core.validation_messages import faults_of

_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)


def resolve(kind: str, table: Mapping[str, str], name: str) -> Callable[..., Any]:
    """Import the part that `table` has under `name`.

    Raises:
        UserError: no such name, and the message has the nearest ones; or it leads nowhere.
    """
    if name not in table:
        raise unknown_name(kind, name, sorted(table))
    module, _, attribute = table[name].partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"the {kind} {name!r} can't be loaded: {error}.") from error


def settings_of(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a config node: all of its keys but `name`."""
    return {key: value for key, value in node.items() if key != "name"}


def build(kind: str, table: Mapping[str, str], node: Mapping[str, Any], **given: Any) -> Any:
    """Build the component that a checked config node describes.

    Args:
        kind: what the table has, in the singular, for messages: `loss`.
        table: name -> "module:attribute".
        node: `{name: ..., key: value, ...}`; the other keys are keyword arguments.
        given: further keyword arguments, which no config has.

    Raises:
        UserError: the table has no such name, or it cannot be imported.
    """
    return resolve(kind, table, node["name"])(**settings_of(node), **given)


def keywords(part: Callable[..., Any], given: tuple[str, ...] = ()) -> dict[str, Any]:
    """The configurable parameters of a part: name -> annotation, without those in `given`.

    Raises:
        UserError: an annotation names what its module does not have.
    """
    try:
        signature = inspect.signature(part, eval_str=True)
    except NameError as error:
        raise UserError(f"the parameters of {part.__name__!r} can't be read: {error}.") from error
    found = {
        name: Any if parameter.annotation is parameter.empty else parameter.annotation
        for name, parameter in signature.parameters.items()
        if name not in given and parameter.kind not in _OPEN
    }
    return found | _unpacked(signature)


def _unpacked(signature: inspect.Signature) -> dict[str, Any]:
    """What `**keywords: Unpack[Keys]` stands for, where several parts share parameters."""
    open_ones = [p for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD]
    return {
        name: annotation
        for parameter in open_ones
        if get_origin(parameter.annotation) is Unpack
        for name, annotation in get_type_hints(
            get_args(parameter.annotation)[0], include_extras=True
        ).items()
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
    settings = {
        key: value
        for key, value in node.items()
        if (key != "name" or "name" in fields) and value != MISSING
    }
    return check_model(where, settings, model, f"{node.get('name', where)!r}")


def check_model(
    where: str, settings: Mapping[str, Any], model: type[BaseModel], owner: str
) -> list[Fault]:
    """Hold plain settings against a pydantic model and put its complaints in our words.

    As JSON and strictly: a part is called with the values as they stand, so '4' is no number
    and true is no 1, while a list may stand for a tuple.
    """
    text = json.dumps(settings, default=str)
    try:
        model.model_validate_json(text, strict=True)
    except ValidationError as error:
        return faults_of(error, where, json.loads(text), model, owner)
    return []
