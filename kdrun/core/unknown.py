"""Messages about unknown names and keys, which suggest similar names."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from kdrun.core.errors import UserError

# How many names a message lists when none is similar, beside a command that lists all or without.
_FEW, _MANY = 12, 200


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """Return the names that are close to `name`, the closest first, at most three."""
    return get_close_matches(name, list(names), n=3, cutoff=0.5)


def suggest(name: str, names: Collection[str], otherwise: str = "", most: int = _MANY) -> str:
    """Return a hint for an unknown name: `nearest: resnet18, resnet50`.

    Args:
        name: the unknown name.
        names: the names that are known.
        otherwise: the hint if no known name is close; by default, the known names.
        most: how many of the known names are listed.
    """
    close = ", ".join(nearest(name, names))
    return f"nearest: {close}" if close else otherwise or f"available: {_list(names, most)}"


def unknown_name(kind: str, name: object, names: Collection[str], list_all: str = "") -> UserError:
    """Return the error for a name that its table does not have.

    Args:
        kind: the kind of component, in the singular: `loss`.
        name: the unknown name; text, unless the config is wrong about that, too.
        names: the names that are known.
        list_all: the command that lists all of them, if there is one: `kdrun list losses`.
    """
    hints = [suggest(str(name), names, most=_FEW if list_all else _MANY)]
    if list_all:
        hints.append(f"all: {list_all}")
    return UserError(f"no {kind} is called {name!r}.", f"  {'        '.join(hints)}")


def unknown_key_of(owner: str, key: str, keys: Collection[str]) -> str:
    """Return the message for an unknown key: `unknown key of 'kd'; nearest: temperature`.

    Args:
        owner: what the key was given for, for the message: `'kd'`.
        key: the unknown key.
        keys: the keys that are known.
    """
    return f"unknown key of {owner}; {suggest(key, keys, f'its keys: {_list(keys, _MANY)}')}"


def _list(names: Collection[str], most: int) -> str:
    first = ", ".join(list(names)[:most])
    return f"{first}, ..." if len(names) > most else first or "none"
