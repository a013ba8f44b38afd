"""Messages about unknown names and keys, which suggest similar names."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from kdrun.core.errors import UserError

MAX_LISTED = 12  # names that a message lists when none of them is similar


def nearest(name: str, names: Iterable[str], most: int = 3) -> str:
    """Return the names closest to `name`, comma-separated; an empty string if none is close."""
    return ", ".join(get_close_matches(name, list(names), n=most, cutoff=0.5))


def suggest(name: str, names: Collection[str], otherwise: str = "") -> str:
    """Return a hint for an unknown name: `nearest: resnet18, resnet50`.

    Args:
        name: the unknown name.
        names: the names that are known.
        otherwise: the hint if no known name is close; by default, the first known names.
    """
    close = nearest(name, names)
    return f"nearest: {close}" if close else otherwise or f"available: {_list(names)}"


def unknown_name(kind: str, name: object, names: Collection[str], list_all: str = "") -> UserError:
    """Return the error for a name that its table does not have.

    Args:
        kind: the kind of component, in the singular: `loss`.
        name: the unknown name; text, unless the config is wrong about that, too.
        names: the names that are known.
        list_all: the command that lists all of them, if there is one: `kdrun list losses`.
    """
    hints = [suggest(str(name), names), *([f"all: {list_all}"] if list_all else [])]
    return UserError(f"no {kind} is called {name!r}.", f"  {'        '.join(hints)}")


def unknown_key_of(owner: str, key: str, keys: Collection[str]) -> str:
    """Return the message for an unknown key: `unknown key of 'kd'; nearest: temperature`.

    Args:
        owner: what the key was given for, for the message: `'kd'`.
        key: the unknown key.
        keys: the keys that are known.
    """
    return f"unknown key of {owner}; {suggest(key, keys, f'its keys: {_list(keys)}')}"


def _list(names: Collection[str]) -> str:
    first = ", ".join(list(names)[:MAX_LISTED])
    return f"{first}, ..." if len(names) > MAX_LISTED else first or "none"
