"""A validator's complaints in our words: one sentence a key, without the validator's jargon."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kdrun.core.errors import Fault
from kdrun.core.unknown import unknown_key_of

Keys = tuple[str, ...]

# A complaint that the value is no such thing, whatever its size.
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
_LONGEST = 80  # letters of a value that a sentence repeats
_OPENING = re.compile(r"^(Value error, |(Input|String|List|Tuple|Dictionary) (?=should))")


def faults_of(
    error: ValidationError, where: str, settings: Any, model: type[BaseModel], owner: str
) -> list[Fault]:
    """The faults that a validation found, those of one key in one sentence.

    Args:
        where: the dotted key of the settings.
        settings: what was validated.
        model: what it was held against.
        owner: what the settings belong to, for unknown keys.
    """
    found: dict[Keys, list[ErrorDetails]] = {}
    for detail in error.errors():
        found.setdefault(_keys(detail, settings), []).append(detail)
    return [
        Fault(
            ".".join([*([where] if where else []), *keys]), _sentence(keys, details, model, owner)
        )
        for keys, details in found.items()
        if not _other_branch(keys, details, found)
    ]


def _other_branch(keys: Keys, details: Sequence[ErrorDetails], found: Collection[Keys]) -> bool:
    """Whether a union's branch complains of the kind where another one took a part within."""
    within = any(other[: len(keys)] == keys and other != keys for other in found)
    return within and all(_kind(detail) or detail["type"] == "literal_error" for detail in details)


def _keys(detail: ErrorDetails, settings: Any) -> Keys:
    """Where the complaint is, without the names of a union's branches, which are no keys."""
    keys, node = [], settings
    for part in detail["loc"]:
        last = part == detail["loc"][-1] and detail["type"] == "missing"
        if isinstance(node, Mapping) and (part in node or last):
            keys.append(str(part))
            node = node.get(part)
        elif isinstance(node, list) and isinstance(part, int):
            keys.append(str(part))
            node = node[part] if part < len(node) else None
    return tuple(keys)


def _sentence(
    keys: Keys, details: Sequence[ErrorDetails], model: type[BaseModel], owner: str
) -> str:
    first = details[0]
    if first["type"] == "extra_forbidden":
        return _unknown_key(keys, model, owner)
    if first["type"] == "missing":
        return "must be given"
    # The whole of a section says nothing that its sentence doesn't.
    whole = isinstance(first["input"], Mapping)
    said = "" if whole else f"{format_value(first['input'])} "
    if len(details) > 1:
        return f"{said}should be {' or '.join(_wanted(detail) for detail in details)}"
    kind = _kind(first)
    return f"{said}is not {kind}" if kind else said + _message(first)


def _unknown_key(keys: Keys, model: type[BaseModel], owner: str) -> str:
    section = _section(model, keys[:-1])
    known = list(section.model_fields) if section else []
    return unknown_key_of(owner if len(keys) == 1 else repr(keys[-2]), keys[-1], known)


def _section(model: type[BaseModel], keys: Keys) -> type[BaseModel] | None:
    """The model that stands at these keys of a model."""
    found: type[BaseModel] | None = model
    for key in keys:
        field = found.model_fields.get(key) if found else None
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        found = models[0] if models else None
    return found


def _wanted(detail: ErrorDetails) -> str:
    return _kind(detail) or _message(detail).removeprefix("should be ")


def _kind(detail: ErrorDetails) -> str:
    name, _, rest = detail["type"].partition("_")
    return _KINDS.get(name, "") if rest in ("type", "parsing", "from_float", "required") else ""


def _message(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    if detail["type"] == "too_long":
        return f"should have at most {context['max_length']} values"
    if detail["type"] == "too_short":
        return f"should have at least {context['min_length']} values"
    return _OPENING.sub("", detail["msg"])


def format_value(value: Any) -> str:
    """A value as it is written in a config."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
