"""Keeps what a config reads from environment variables out of what is printed and recorded.

Such a value may be a secret. It is written as the reference that the config has for it,
`${oc.env:NAME}`, and a resumed run reads the variable again.
"""

import os
import re
from pathlib import Path
from typing import Any

_PUBLIC = {"KDRUN_DATA", "USER", "LOGNAME"}
_SHORTEST = 4  # characters of a secret; shorter ones are parts of all kinds of words
_NUMBER = re.compile(r"[-+.eE0-9]{1,7}")  # a setting such as 0.001, by which runs are compared
_REFERENCE = re.compile(r"\$\{oc\.env:([^}]*)\}")

_read: dict[str, str] = {}  # name of each variable that a config has read -> its value


def remember(name: str, value: str) -> None:
    """Keep the value of a variable that a config reads out of records from now on."""
    if name not in _PUBLIC:
        _read[name] = value


def hide(text: str) -> str:
    """Return a text with references in place of what was read from environment variables.

    Paths of what is there are no secrets, nor are numbers and values of fewer than four characters.
    """
    references = {
        form: f"${{oc.env:{name}}}"
        for name, value in _read.items()
        if _is_secret(value)
        for form in (value, repr(value)[1:-1])
    }
    if not references:
        return text
    longest_first = sorted(references, key=len, reverse=True)
    pattern = "|".join(re.escape(form) for form in longest_first)
    return re.sub(pattern, lambda match: references[match[0]], text)


def hide_in(node: Any) -> Any:
    """Return nested lists and mappings with `hide` applied to each text."""
    if isinstance(node, str):
        return hide(node)
    if isinstance(node, list | tuple):
        return [hide_in(item) for item in node]
    return {key: hide_in(item) for key, item in node.items()} if isinstance(node, dict) else node


def holds_reference(text: str) -> bool:
    """Return whether a recorded text has a reference to an environment variable."""
    return _REFERENCE.search(text) is not None


def names_for_values(text: str) -> str:
    """Return a text with the names of variables in place of their values, for names of folders."""
    return _REFERENCE.sub(r"\1", hide(text))


def _is_secret(value: str) -> bool:
    if len(value) < _SHORTEST or _NUMBER.fullmatch(value):
        return False
    # `Path.exists` raises an error for a text that is too long for a path.
    return not (Path(value).is_absolute() and os.path.exists(value))  # noqa: PTH110
