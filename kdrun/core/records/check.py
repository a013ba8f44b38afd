"""Checking a record that was read from a file against its TypedDict.

pydantic would do the same, but importing it takes longer than comparing a hundred runs.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from kdrun.core.errors import DamagedFile, UserError
from kdrun.core.number_format import format_value
from kdrun.core.records import FORMAT

T = TypeVar("T")
Count = Annotated[int, "0 or more"]  # a whole number that is not negative
_MAX_WHOLE = 2**64  # larger numbers fit into no array, and the largest into no float
_Check = Callable[[Any], None]  # raises a _Fault if the value has another type

_NAMES = {
    float: "a number",
    int: "a whole number",
    str: "a text",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
    NoneType: "null",
}


class _Fault(Exception):
    """Raised for a wrong value.

    Args:
        sentence: the end of the message `FILE has ...`, with `{key}` in place of the dotted key.
        keys: the keys that lead to the value, the innermost first.
    """

    def __init__(self, sentence: str, *keys: str) -> None:
        self.sentence = sentence
        self.keys = list(keys)


def check_record(record: object, kind: type[T], source: object) -> T:
    """Return a record whose keys have the types that `kind` declares.

    Keys that `kind` doesn't declare are not checked, nor is the record of a newer kdrun, whose
    keys may have other types: `refuse_newer` explains it better than a message about a type.

    Args:
        record: the record, as `json.loads` returns it.
        kind: a TypedDict.
        source: the path of the file, for the message.

    Raises:
        DamagedFile: a required key is missing, or a value has another type.
    """
    if is_newer(record):
        return cast("T", record)
    try:
        _check_of(cast("Hashable", kind))(record)
    except _Fault as fault:
        key = ".".join(reversed(fault.keys))
        raise DamagedFile(f"{str(source)!r} has {fault.sentence.format(key=repr(key))}.") from fault
    return cast("T", record)


def is_newer(record: object) -> bool:
    """Return whether a newer kdrun wrote the record, in a format that this one can't read."""
    return (
        isinstance(record, dict) and type(record.get("format")) is int and record["format"] > FORMAT
    )


def refuse_newer(record: Mapping[str, Any], owner: str) -> None:
    """Refuse the record of a newer kdrun.

    Args:
        record: the record, as `check_record` returns it.
        owner: what the record describes, for the message: `'outputs/run'`.

    Raises:
        UserError: a newer kdrun wrote the record.
    """
    if is_newer(record):
        raise UserError(
            f"{owner} has format {record['format']}; this kdrun reads up to {FORMAT}.",
            "  a newer kdrun wrote it: pip install --upgrade kdrun",
        )


@cache
def _check_of(kind: Any) -> _Check:
    """Return the function that checks values of a type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda value: None
    if is_typeddict(kind):
        return _typed_dict_check(kind)
    if origin in (Required, NotRequired):
        return _check_of(arguments[0])
    if kind == Count:
        return _count_check
    if origin in (Union, UnionType):
        return _union_check(arguments)
    if origin is Literal:
        return _literal_check(arguments)
    if origin in (list, Sequence):
        return _list_check(_check_of(arguments[0]))
    if origin in (dict, Mapping):
        return _mapping_check(_check_of(arguments[1]))
    return _plain_check((kind,))


def _typed_dict_check(kind: Any) -> _Check:
    checks = {
        name: _check_of(hint) for name, hint in get_type_hints(kind, include_extras=True).items()
    }
    required = kind.__required_keys__

    def check(record: Any) -> None:
        if type(record) is not dict:
            raise _wrong_type(record, _NAMES[dict])
        for name, check_value in checks.items():
            if name in record:
                try:
                    check_value(record[name])
                except _Fault as fault:
                    fault.keys.append(name)
                    raise
            elif name in required:
                raise _Fault("no {key}", name)

    return check


def _plain_check(kinds: tuple[Any, ...]) -> _Check:
    """Return a check that a value has exactly one of these types.

    Where a float is allowed, an int is allowed too, but not a bool.
    """
    allowed = {*kinds, int} if float in kinds else {*kinds}
    expected = " or ".join(_NAMES[kind] for kind in kinds)

    def check(value: Any) -> None:
        if type(value) not in allowed or (type(value) is int and abs(value) > _MAX_WHOLE):
            raise _wrong_type(value, expected)

    return check


def _count_check(value: Any) -> None:
    if type(value) is not int or not 0 <= value <= _MAX_WHOLE:
        raise _wrong_type(value, "a whole number, 0 or more")


def _union_check(kinds: tuple[Any, ...]) -> _Check:
    """Return a check that a value has one of these types.

    At most one of them may be a container, a literal or a TypedDict.
    """
    plain = tuple(kind for kind in kinds if kind in _NAMES)
    others = [_check_of(kind) for kind in kinds if kind not in _NAMES]
    if not others:
        return _plain_check(plain)
    (check_other,) = others

    def check(value: Any) -> None:
        if type(value) not in plain:
            check_other(value)

    return check


def _literal_check(choices: tuple[Any, ...]) -> _Check:
    def check(value: Any) -> None:
        if value not in choices:
            raise _wrong_type(value, " or ".join(map(repr, choices)))

    return check


def _list_check(check_item: _Check) -> _Check:
    def check(value: Any) -> None:
        if type(value) is not list:
            raise _wrong_type(value, _NAMES[list])
        _check_each(enumerate(value), check_item)

    return check


def _mapping_check(check_value: _Check) -> _Check:
    def check(value: Any) -> None:
        if type(value) is not dict:
            raise _wrong_type(value, _NAMES[dict])
        _check_each(value.items(), check_value)

    return check


def _check_each(items: Any, check_value: _Check) -> None:
    """Check the values of (key, value) items; add the key to the fault of a wrong value."""
    for key, value in items:
        try:
            check_value(value)
        except _Fault as fault:
            fault.keys.append(str(key))
            raise


def _wrong_type(value: Any, expected: str) -> _Fault:
    """Return the fault of a value that has another type than the expected one."""
    braces = format_value(value).replace("{", "{{").replace("}", "}}")
    return _Fault(f"{braces} for {{key}}, not {expected}")
