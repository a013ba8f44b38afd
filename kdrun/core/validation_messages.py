"""Turns the errors of pydantic into messages for the user, one for each key."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kdrun.core.errors import Fault
from kdrun.core.number_format import format_value
from kdrun.core.unknown import unknown_key_of

Keys = tuple[str, ...]

# Start of the type of an error of pydantic -> what the value should be.
_KINDS = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping",
    "model": "a mapping",
    "none": "null",
}
_PREFIX = re.compile(r"^(Value error, |(Input|String|List|Tuple|Dictionary) (?=should))")


def faults_of(
    error: ValidationError, where: str, settings: Any, model: type[BaseModel], owner: str
) -> list[Fault]:
    """Return the faults of a failed validation, one for each key.

    Args:
        error: the error that pydantic raised.
        where: the dotted key of the settings.
        settings: the settings that were validated.
        model: the pydantic model.
        owner: what the settings belong to, for messages about unknown keys.
    """
    by_key: dict[Keys, list[ErrorDetails]] = {}
    for detail in error.errors():
        by_key.setdefault(_keys(detail, settings), []).append(detail)
    return [
        Fault(
            ".".join([*([where] if where else []), *keys]), _sentence(keys, details, model, owner)
        )
        for keys, details in by_key.items()
        if not _is_of_other_branch(keys, details, by_key)
    ]


def _is_of_other_branch(
    keys: Keys, details: Sequence[ErrorDetails], all_keys: Collection[Keys]
) -> bool:
    """Return whether errors of a value are superfluous, as it fits another branch of a union.

    The other branch then has errors for keys inside the value, and these alone are reported.

    Args:
        keys: the keys that lead to the value.
        details: the errors of the value.
        all_keys: the keys of all errors.
    """
    has_inner = any(longer[: len(keys)] == keys and longer != keys for longer in all_keys)
    return has_inner and all(
        _kind(detail) or detail["type"] == "literal_error" for detail in details
    )


def _keys(detail: ErrorDetails, settings: Any) -> Keys:
    """Return the keys that lead to an error, without the names of the branches of unions."""
    keys, node = [], settings
    for part in detail["loc"]:
        is_missing = part == detail["loc"][-1] and detail["type"] == "missing"
        if isinstance(node, Mapping) and (part in node or is_missing):
            keys.append(str(part))
            node = node.get(part)
        elif isinstance(node, list) and isinstance(part, int):
            keys.append(str(part))
            node = node[part] if part < len(node) else None
    return tuple(keys)


def _sentence(
    keys: Keys, details: Sequence[ErrorDetails], model: type[BaseModel], owner: str
) -> str:
    """Return the message for the errors of a key."""
    first = details[0]
    if first["type"] == "extra_forbidden":
        return _unknown_key(keys, model, owner)
    if first["type"] == "missing":
        return "must be given"
    is_section = isinstance(first["input"], Mapping)  # too long to be repeated
    value = "" if is_section else f"{format_value(first['input'])} "
    if len(details) > 1:
        return f"{value}should be {' or '.join(_expected(detail) for detail in details)}"
    kind = _kind(first)
    return f"{value}is not {kind}" if kind else value + _message(first)


def _unknown_key(keys: Keys, model: type[BaseModel], owner: str) -> str:
    section = _section(model, keys[:-1])
    known = list(section.model_fields) if section else []
    return unknown_key_of(owner if len(keys) == 1 else repr(keys[-2]), keys[-1], known)


def _section(model: type[BaseModel], keys: Keys) -> type[BaseModel] | None:
    """Return the pydantic model of the section that the keys lead to; None if there is none."""
    section: type[BaseModel] | None = model
    for key in keys:
        field = section.model_fields.get(key) if section else None
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        section = models[0] if models else None
    return section


def _expected(detail: ErrorDetails) -> str:
    return _kind(detail) or _message(detail).removeprefix("should be ")


def _kind(detail: ErrorDetails) -> str:
    """Return the type that the value should have, `a number`; empty for errors of another kind."""
    name, _, rest = detail["type"].partition("_")
    return _KINDS.get(name, "") if rest in ("type", "parsing", "from_float", "required") else ""


def _message(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    if detail["type"] == "too_long":
        return f"should have at most {context['max_length']} values"
    if detail["type"] == "too_short":
        return f"should have at least {context['min_length']} values"
    return _PREFIX.sub("", detail["msg"])
