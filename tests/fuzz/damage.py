"""Damage of files, as hypothesis draws it: of bytes, of values in a record, of the file itself."""

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hypothesis import strategies as st

from kdrun.core.folder import RunFolder
from kdrun.core.json_file import write_json

# Values that no key of a record expects, and some that a key of another type would.
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 3, 2**31, 2**70, 10**400, -0.5, 0.5, 1e308, float("nan"), float("inf")),
    *("", "x", "../x", "/etc/passwd", "~x", "a" * 5000, "\x1b[2J\u202e", "1e999", "null"),
    *([], [[]], ["x"], [None], [1, "x"], {}, {"x": {}}, {"": None}, [{}], list(range(50))),
)
KINDS = ("set", "delete", "rename", "repeat", "swap")  # of values
OTHERS = ("flip", "flip", "cut", "insert", "zeros", "empty", "gone", "folder", "pipe", "link")
SUMS = ("kept", "dropped", "forged")


class Damage(NamedTuple):
    """What is done to one file of a folder.

    Attributes:
        file: which file, modulo their number.
        kind: what is done.
        where: which value, byte or line, modulo their number.
        value: what a value becomes.
        sums: what the sums are afterwards: those of before, none, or those of the damaged records.
    """

    file: int
    kind: str
    where: int
    value: Any
    sums: str


def damages(kinds: tuple[str, ...] = (*KINDS, *KINDS, *OTHERS)) -> st.SearchStrategy[Damage]:
    """Return the strategy for the damage of one file."""
    return st.builds(
        Damage,
        st.integers(0, 10_000),
        st.sampled_from(kinds),
        st.integers(0, 2**40),
        st.sampled_from(VALUES),
        st.sampled_from(SUMS),
    )


def damage_folder(folder: Path, damage: Damage) -> Path:
    """Damage a file of a folder, and return the file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    path = files[damage.file % len(files)]
    if damage.kind in KINDS and path.suffix in (".json", ".jsonl", ".yaml"):
        _damage_values(path, damage)
    else:
        damage_file(path, damage)
    if damage.sums != "kept":
        _change_sums(folder, damage.sums == "forged")
    return path


def damage_file(path: Path, damage: Damage) -> None:
    """Damage the bytes of a file, or put something else in its place."""
    content = path.read_bytes()
    place = damage.where % max(1, len(content))
    if damage.kind in ("gone", "folder", "pipe", "link"):
        path.unlink()
        if damage.kind == "folder":
            path.mkdir()
        elif damage.kind == "pipe":
            os.mkfifo(path)
        elif damage.kind == "link":
            path.symlink_to(("/dev/zero", "/dev/null", __file__)[damage.where % 3])
        return
    path.write_bytes(damage_bytes(content, damage.kind, place))


def damage_bytes(content: bytes, kind: str, place: int) -> bytes:
    """Return the bytes with one fault at a place."""
    if kind == "cut":
        return content[:place]
    if kind == "insert":
        return content[:place] + b"\xff\x00{" + content[place:]
    if kind == "zeros":
        return content[:place] + bytes(min(64, len(content) - place)) + content[place + 64 :]
    if kind == "empty":
        return b""
    flipped = bytes([content[place] ^ (1 << place % 8)]) if content else b"x"
    return content[:place] + flipped + content[place + 1 :]


def _damage_values(path: Path, damage: Damage) -> None:
    """Change one value of a record, of a line of measurements, or of a config."""
    text = path.read_text()
    if path.suffix == ".yaml":
        path.write_text(yaml.safe_dump(damage_value(yaml.safe_load(text), damage)))
    elif path.suffix == ".json":
        path.write_text(json.dumps(damage_value(json.loads(text), damage)))
    else:
        lines = text.splitlines()
        number = damage.where // 64 % len(lines)
        lines[number] = json.dumps(damage_value(json.loads(lines[number]), damage))
        path.write_text("\n".join(lines) + "\n")


def damage_value(tree: Any, damage: Damage) -> Any:
    """Return a tree of values with one of them changed."""
    tree = {"root": copy.deepcopy(tree)}
    places = list(_places(tree["root"])) or [(tree, "root")]
    node, key = places[damage.where % len(places)]
    if damage.kind == "set" or not isinstance(node, dict):
        node[key] = damage.value
    elif damage.kind == "delete":
        del node[key]
    elif damage.kind == "rename":
        node[f"{key}x"] = node.pop(key)
    elif damage.kind == "repeat":
        node[key] = [node[key]] * 3
    else:
        other, other_key = places[(damage.where + 1) % len(places)]
        node[key] = copy.deepcopy(other[other_key])
    return tree["root"]


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (container, key) of each value, those near the root as often as deep ones."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    inner = list(pairs) if isinstance(node, dict | list) else []
    for key, value in inner:
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _change_sums(folder: Path, forged: bool) -> None:
    """Take the sums out of all records, or write those of the records as they are now."""
    records = [path for path in sorted(folder.rglob("*.json")) if path.is_file()]
    for path in records:
        try:
            record = json.loads(path.read_bytes())
        except (ValueError, OSError):
            continue
        if not isinstance(record, dict) or "sum" not in record or path.is_symlink():
            continue
        del record["sum"]
        if "sums" in record and path.name == "run.json":
            del record["sums"]
            if forged:
                try:
                    record["sums"] = RunFolder(path.parent).sums()
                except Exception:  # noqa: BLE001 - what can't be read has no sum
                    record["sums"] = {}
        if forged:
            write_json(path, record)
        else:
            path.write_text(json.dumps(record))
