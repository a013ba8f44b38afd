"""Checking a record that was read from a file against its TypedDict.

pydantic would do the same, but importing it takes longer than comparing a hundred runs.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import (
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

from kdrun.core.errors import DamagedFile

_SHOWN = 40  # characters of a wrong value

T = TypeVar("T")
_Check = Callable[[Any], None]  # raises _Fault for a value of another type

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
    """What is wrong with a value; `keys` lead to it, the innermost first.

    Args:
        sentence: what the file has, with `{key}` for the dotted key.
    """

    def __init__(self, sentence: str, *keys: str) -> None:
        self.sentence = sentence
        self.keys = list(keys)


def check_record(record: object, kind: type[T], source: object) -> T:
    """Return a record whose keys have the types that `kind` declares.

    Keys that `kind` doesn't declare are not looked at.

    Args:
        record: as `json.loads` returns it.
        kind: a TypedDict.
        source: the file, for the message.

    Raises:
        DamagedFile: a required key is missing, or a value has another type.
    """
    try:
        _check_of(cast("Hashable", kind))(record)
    except _Fault as fault:
        key = ".".join(reversed(fault.keys))
        raise DamagedFile(f"{str(source)!r} has {fault.sentence.format(key=repr(key))}.") from fault
    return cast("T", record)


@cache
def _check_of(kind: Any) -> _Check:
    """The check that a type stands for."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda value: None
    if is_typeddict(kind):
        return _record(kind)
    if origin in (Required, NotRequired):
        return _check_of(arguments[0])
    if origin in (Union, UnionType):
        return _union(arguments)
    if origin is Literal:
        return _literal(arguments)
    if origin in (list, Sequence):
        return _items(_check_of(arguments[0]))
    if origin in (dict, Mapping):
        return _values(_check_of(arguments[1]))
    return _plain((kind,))


def _record(kind: Any) -> _Check:
    checks = {name: _check_of(hint) for name, hint in get_type_hints(kind).items()}
    required = kind.__required_keys__

    def check(record: Any) -> None:
        if type(record) is not dict:
            raise _wrong(record, _NAMES[dict])
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


def _plain(kinds: tuple[Any, ...]) -> _Check:
    """A value of one of these types exactly; a whole number is a number, true and false are not."""
    allowed = {*kinds, int} if float in kinds else {*kinds}
    expected = " or ".join(_NAMES[kind] for kind in kinds)

    def check(value: Any) -> None:
        if type(value) not in allowed:
            raise _wrong(value, expected)

    return check


def _union(kinds: tuple[Any, ...]) -> _Check:
    """A value of one of these types, of which one at most is more than a plain type."""
    plain = tuple(kind for kind in kinds if kind in _NAMES)
    others = [_check_of(kind) for kind in kinds if kind not in _NAMES]
    if not others:
        return _plain(plain)
    (check_other,) = others

    def check(value: Any) -> None:
        if type(value) not in plain:
            check_other(value)

    return check


def _literal(choices: tuple[Any, ...]) -> _Check:
    def check(value: Any) -> None:
        if value not in choices:
            raise _wrong(value, " or ".join(map(repr, choices)))

    return check


def _items(check_item: _Check) -> _Check:
    def check(value: Any) -> None:
        if type(value) is not list:
            raise _wrong(value, _NAMES[list])
        _each(enumerate(value), check_item)

    return check


def _values(check_value: _Check) -> _Check:
    def check(value: Any) -> None:
        if type(value) is not dict:
            raise _wrong(value, _NAMES[dict])
        _each(value.items(), check_value)

    return check


def _each(pairs: Any, check_value: _Check) -> None:
    for key, value in pairs:
        try:
            check_value(value)
        except _Fault as fault:
            fault.keys.append(str(key))
            raise


def _wrong(value: Any, expected: str) -> _Fault:
    text = repr(value)
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    braces = shown.replace("{", "{{").replace("}", "}}")
    return _Fault(f"{braces} for {{key}}, not {expected}")
