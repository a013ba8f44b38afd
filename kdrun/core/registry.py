"""Tables of components: name -> "module:attribute", which is imported when it is needed."""

import inspect
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Unpack, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from kdrun.core.config import MISSING
from kdrun.core.errors import Fault, UserError
from kdrun.core.named_part import part_of
from kdrun.core.plugins import KINDS
from kdrun.core.unknown import unknown_name
from kdrun.core.validation_messages import faults_of

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)


def resolve(kind: str, table: Mapping[str, str], name: str) -> Callable[..., Any]:
    """Return the component that a table lists under a name; import its module.

    Args:
        kind: what the table lists, in the singular, for messages: `loss`.
        table: name -> "module:attribute".
        name: one of the names.

    Raises:
        UserError: the table has no such name, or the component cannot be imported.
    """
    if name not in table:
        plural = KINDS[kind].plural if kind in KINDS else ""
        list_all = f"kdrun list {plural}" if plural else ""
        raise unknown_name(kind, name, sorted(table), list_all)
    try:
        return part_of(table[name])
    except (ImportError, AttributeError) as error:
        raise UserError(f"the {kind} {name!r} can't be loaded: {error}.") from error


def settings_of(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a config node: all of its keys but `name`."""
    return {key: value for key, value in node.items() if key != "name"}


def build(kind: str, table: Mapping[str, str], node: Mapping[str, Any], **given: Any) -> Any:
    """Build the component that a checked config node describes.

    Args:
        kind: what the table lists, in the singular, for messages: `loss`.
        table: name -> "module:attribute".
        node: `{name: ..., key: value, ...}`; the other keys are keyword arguments.
        given: further keyword arguments, which are no settings of the config.

    Raises:
        UserError: the table has no such name, or the component cannot be imported.
    """
    return resolve(kind, table, node["name"])(**settings_of(node), **given)


def keywords(component: Callable[..., Any], passed: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the parameters of a component that the config sets: name -> annotation.

    Args:
        component: a class or a function.
        passed: parameters that are left out, because kdrun passes them itself.

    Raises:
        UserError: an annotation cannot be evaluated.
    """
    try:
        signature = inspect.signature(component, eval_str=True)
    except NameError as error:
        name = component.__name__
        raise UserError(f"the parameters of {name!r} can't be read: {error}.") from error
    parameters = {
        name: Any if parameter.annotation is parameter.empty else parameter.annotation
        for name, parameter in signature.parameters.items()
        if name not in passed and parameter.kind not in _VARIADIC
    }
    return parameters | _unpacked(signature)


def _unpacked(signature: inspect.Signature) -> dict[str, Any]:
    """Return the parameters of a signature with `**keywords: Unpack[Keys]`: the keys of `Keys`."""
    return {
        name: annotation
        for parameter in signature.parameters.values()
        if parameter.kind is parameter.VAR_KEYWORD
        if get_origin(parameter.annotation) is Unpack
        for name, annotation in get_type_hints(
            get_args(parameter.annotation)[0], include_extras=True
        ).items()
    }


def check_node(
    where: str,
    node: Mapping[str, Any],
    component: Callable[..., Any],
    passed: tuple[str, ...] = (),
) -> list[Fault]:
    """Compare the keys of a config node with the signature of its component.

    Args:
        where: the node's dotted key, for the messages.
        node: `{name: ..., key: value, ...}`.
        component: the class or function that the node's name stands for.
        passed: parameters that kdrun passes itself.

    Returns:
        All faults: unknown or missing keys, and values of another type or out of range.
    """
    model = _model_of(component, passed)
    settings = {
        key: value
        for key, value in node.items()
        if (key != "name" or "name" in model.model_fields) and value != MISSING
    }
    return check_model(where, settings, model, f"{node.get('name', where)!r}")


@lru_cache(maxsize=256)  # to make a model takes a millisecond, and each job of a sweep is checked
def _model_of(component: Callable[..., Any], passed: tuple[str, ...]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: (annotation, ...) for name, annotation in keywords(component, passed).items()
    }
    return create_model("Node", __config__=STRICT, **fields)


def check_model(
    where: str, settings: Mapping[str, Any], model: type[BaseModel], owner: str
) -> list[Fault]:
    """Validate settings by a pydantic model, and return its errors as faults.

    The settings are validated as strict JSON, because a component is called with unchanged values:
    '4' is not a number and true is not 1, but a list may stand for a tuple.

    Args:
        where: the dotted key of the settings; empty for the whole config.
        settings: plain dicts, lists and values.
        model: the pydantic model.
        owner: what the settings belong to, for messages about unknown keys: `'kd'`.
    """
    text = json.dumps(settings, default=str)
    try:
        model.model_validate_json(text, strict=True)
    except ValidationError as error:
        return faults_of(error, where, json.loads(text), model, owner)
    return []
