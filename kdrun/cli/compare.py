"""`kdrun compare`: which setting is better, and whether the difference is significant."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from kdrun.cli.named_plugins import install_named_tasks
from kdrun.cli.verb_parser import VerbParser
from kdrun.compare.comparison import Comparison, compare
from kdrun.compare.formats import FORMATS
from kdrun.compare.gather import gather
from kdrun.compare.query import KeyValues, Query
from kdrun.compare.terminal import ComparisonView, left_out_lines
from kdrun.core.atomic import write_text
from kdrun.core.control_characters import show_controls
from kdrun.core.errors import UserError
from kdrun.core.named_file import prepare_file
from kdrun.core.screen import Screen

_STDOUT = "-"


def compare_runs(words: Sequence[str], screen: Screen) -> int:
    """Run `kdrun compare PATH...` and return the exit status.

    Raises:
        UserError: there are no runs, no run has the key, value, row or metric of an option, or a
            file can't be written.
    """
    words = install_named_tasks(words)
    options = _read_options(words)
    query = _query(options)
    gathered = gather(options.paths)
    if not gathered.runs:
        raise UserError("none of these runs can be compared.", *left_out_lines(gathered.left_out))
    comparison = compare(gathered, query)
    files = {name: getattr(options, name) for name in FORMATS if getattr(options, name)}
    for file in files.values():
        if file != _STDOUT:
            prepare_file(Path(file))
    if _STDOUT not in files.values():
        screen.show(ComparisonView(comparison))
    for name, file in files.items():
        _write(comparison, name, file, screen)
    return 0


def parser() -> VerbParser:
    """Return the parser of the words after the verb."""
    parser = VerbParser("compare")
    parser.add_argument("paths", nargs="*")
    for option in ("--by", "--metric", "--row", "--sort"):
        parser.add_argument(option, default="")
    for option in ("--where", "--baseline"):
        parser.add_argument(option, action="append", default=[])
    for name in FORMATS:
        parser.add_argument(f"--{name}", nargs="?", const=_STDOUT, default="")
    return parser


def _read_options(words: Sequence[str]) -> Namespace:
    """Parse the options and paths.

    Raises:
        UserError: there is no path, or the FILE of a format such as `--csv` is a folder.
    """
    verb_parser = parser()
    options = verb_parser.read(words)
    for name in FORMATS:
        if getattr(options, name) and Path(getattr(options, name)).is_dir():
            verb_parser.error(f"--{name} takes a file; it must follow the paths")
    if not options.paths:
        verb_parser.error("name run folders, sweep folders or globs")
    return options


def _query(options: Namespace) -> Query:
    rows = [word for word in options.baseline if "=" not in word]
    if len(rows) > 1 or (rows and len(options.baseline) > 1):
        raise UserError("--baseline takes KEY=VALUE, or one row such as alone, not both.")
    return Query(
        metric=options.metric,
        model=options.row,
        by=options.by,
        where=_values("--where", options.where),
        baseline=_values("--baseline", [] if rows else options.baseline),
        versus=rows[0] if rows else "",
        sort=options.sort,
    )


def _values(option: str, words: Sequence[str]) -> KeyValues:
    """Parse words such as KEY=VALUE,VALUE into key -> its values as text."""
    values: dict[str, list[str]] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key or not text:
            raise UserError(f"{option} {word}: it takes KEY=VALUE, e.g. loss.temperature=4.")
        values.setdefault(key, []).extend(_split(text))
    return values


def _split(text: str) -> list[str]:
    """Split a text at commas that are not inside brackets."""
    values, depth = [""], 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and not depth:
            values.append("")
        else:
            values[-1] += letter
    return values


def _write(comparison: Comparison, name: str, file: str, screen: Screen) -> None:
    text = show_controls(FORMATS[name](comparison))
    if file == _STDOUT:
        screen.say(text)
    else:
        write_text(Path(file), f"{text}\n")
        screen.say(f"written to {file}")
