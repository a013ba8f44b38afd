"""`kdrun store`: lists, checks and prunes the artefacts that the runs of an output root share."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from kdrun.cli.verb_parser import VerbParser
from kdrun.core.errors import DamagedFile, UserError
from kdrun.core.number_format import format_bytes, many
from kdrun.core.screen import Screen
from kdrun.core.store_contents import (
    StoredArtefact,
    changed_files,
    prune,
    stored_artefacts,
    to_prune,
)

_ACTIONS = ("list", "check", "prune")
_AGES = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}  # unit -> seconds
_SIZES = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}  # unit -> bytes


def store(words: Sequence[str], screen: Screen) -> int:
    """Run `kdrun store [list|check|prune] [ROOT]` and return the exit status.

    Raises:
        UserError: there is no store, or an option has a wrong value or belongs to another action.
        DamagedFile: `check` finds an artefact that is not what its stage wrote.
        DiskFull: an artefact can't be deleted.
    """
    options = parser().read(words)
    paths = list(options.paths)
    action = paths.pop(0) if paths[:1] and paths[0] in _ACTIONS else "list"
    if len(paths) > 1:
        raise UserError(f"store {action} takes one output root, not {', '.join(paths)}.")
    if action != "prune" and (options.older or options.keep or options.dry_run):
        raise UserError(f"store {action} takes no options: they belong to kdrun store prune.")
    older = _quantity(options.older or "30d", _AGES, "older")
    keep = None if options.keep is None else _quantity(options.keep, _SIZES, "keep")
    artefacts = stored_artefacts(Path(*paths or ["outputs"]))
    if action == "check":
        _check(artefacts, screen)
    elif action == "prune":
        _prune(to_prune(artefacts, older, keep), options.dry_run, screen)
    else:
        _list(artefacts, screen)
    return 0


def parser() -> VerbParser:
    """Return the parser of the words after the verb."""
    parser = VerbParser("store")
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--older")
    parser.add_argument("--keep")
    parser.add_argument("--dry-run", action="store_true")
    return parser


def _quantity(text: str, units: Mapping[str, float], option: str) -> float:
    """Return a number with its unit, such as `30d`, in seconds or bytes."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([A-Za-z]+)", text)
    if match is None or match[2] not in units:
        raise UserError(
            f"store: --{option} {text} is no number with a unit.",
            f"  units: {', '.join(units)}; for example --{option} 20{list(units)[2]}",
        )
    return float(match[1]) * units[match[2]]


def _list(artefacts: Sequence[StoredArtefact], screen: Screen) -> None:
    for line in _lines(artefacts):
        screen.say(line)
    unused = [artefact for artefact in artefacts if not artefact.is_used]
    screen.say(f"{_total(artefacts)}; {_total(unused)} that no run uses")


def _check(artefacts: Sequence[StoredArtefact], screen: Screen) -> None:
    """Compare every file with its sum; raise DamagedFile if one differs."""
    damaged = 0
    for artefact in artefacts:
        faults = changed_files(artefact) if artefact.state == "complete" else []
        if artefact.state == "damaged":
            faults = ["it is kept aside, or its record is not its own"]
        if faults:
            damaged += 1
            screen.warn(f"{str(artefact.folder)!r} is damaged: {', '.join(faults)}")
    if damaged:
        raise DamagedFile(
            f"not what their stages wrote: {damaged} of {many(len(artefacts), 'artefact')}.",
            "  a run that needs one makes it anew; kdrun store prune deletes what is kept aside",
        )
    screen.say(f"{_total(artefacts)}: every file has the sum that its stage recorded")


def _prune(chosen: Sequence[StoredArtefact], dry_run: bool, screen: Screen) -> None:
    for line in _lines(chosen):
        screen.say(line)
    if dry_run:
        screen.say(f"would delete {_total(chosen)}")
        return
    deleted = [artefact for artefact in chosen if prune(artefact)]
    screen.say(f"deleted {_total(deleted)}")
    if len(deleted) < len(chosen):
        screen.say(f"{many(len(chosen) - len(deleted), 'artefact')} in use meanwhile, and kept")


def _lines(artefacts: Sequence[StoredArtefact]) -> list[str]:
    """Return a line for each artefact: folder, what it is, size, age and who uses it."""
    rows = [
        (
            artefact.folder.name,
            _title(artefact),
            format_bytes(artefact.size),
            _age(artefact.age),
            _users(artefact),
        )
        for artefact in artefacts
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    return [
        f"{name:{widths[0]}}  {title:{widths[1]}}  {size:>{widths[2]}}  {age:>{widths[3]}}  {users}"
        for name, title, size, age, users in rows
    ]


def _title(artefact: StoredArtefact) -> str:
    return (
        artefact.title
        if artefact.state == "complete"
        else f"{artefact.title} ({artefact.state})".strip()
    )


def _users(artefact: StoredArtefact) -> str:
    if len(artefact.runs) > 1:
        return f"{artefact.runs[0]} and {many(len(artefact.runs) - 1, 'other')}"
    if artefact.runs:
        return str(artefact.runs[0])
    return "linked by a folder elsewhere" if artefact.is_linked else "no run"


def _age(seconds: float) -> str:
    unit, size = next(
        ((unit, size) for unit, size in reversed(_AGES.items()) if seconds >= 2 * size), ("m", 60)
    )
    return f"{seconds / size:.0f} {unit}"


def _total(artefacts: Sequence[StoredArtefact]) -> str:
    """Return the number and size of artefacts, with those that are not complete."""
    states = Counter(artefact.state for artefact in artefacts)
    size = format_bytes(sum(artefact.size for artefact in artefacts))
    parts = [
        size,
        *(f"{states[name]} {name}" for name in ("unfinished", "damaged") if states[name]),
    ]
    return f"{many(len(artefacts), 'artefact')} ({', '.join(parts)})"
