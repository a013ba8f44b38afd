"""`kdrun compare`: runs held against each other, and what may be said of their differences."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from kdrun.compare.comparison import Comparison, compare
from kdrun.compare.formats import FORMATS
from kdrun.compare.gather import gather
from kdrun.compare.metrics import metric
from kdrun.compare.query import Asked, Wanted
from kdrun.compare.terminal import Told, told_of
from kdrun.core.atomic import write_text
from kdrun.core.errors import UserError
from kdrun.core.named_file import make_way
from kdrun.core.screen import Screen

_USAGE = (
    "  kdrun compare PATH... [--by KEY] [--metric NAME] [--where KEY=VALUE] [--baseline KEY=VALUE]",
    "    [--row NAME] [--sort KEY] [--csv|--json|--markdown|--latex [FILE]]",
)
_STDOUT = "-"


def compare_runs(words: Sequence[str], screen: Screen) -> int:
    """`kdrun compare PATH...`: see `_USAGE`; PATH is a run, a folder of runs, or a glob.

    Raises:
        UserError: no runs, or none with such a key, value, row or metric; or a file can't go
            where it should.
    """
    given = _Words(add_help=False, allow_abbrev=False).read(words)
    asked = _asked(given)
    gathered = gather(given.paths)
    if not gathered.runs:
        raise UserError("none of these runs can be compared.", *told_of(gathered.left_out))
    comparison = compare(gathered, asked)
    texts = {name: getattr(given, name) for name in FORMATS if getattr(given, name)}
    for file in texts.values():
        if file != _STDOUT:
            make_way(Path(file))
    if _STDOUT not in texts.values():
        screen.show(Told(comparison))
    for name, file in texts.items():
        _write(comparison, name, file, screen)
    return 0


class _Words(ArgumentParser):
    """What may stand after the verb."""

    def read(self, words: Sequence[str]) -> Namespace:
        self.add_argument("paths", nargs="*")
        for option in ("--by", "--metric", "--row", "--sort"):
            self.add_argument(option, default="")
        for option in ("--where", "--baseline"):
            self.add_argument(option, action="append", default=[])
        for name in FORMATS:
            self.add_argument(f"--{name}", nargs="?", const=_STDOUT, default="")
        found = self.parse_intermixed_args(list(words))
        for name in FORMATS:
            if Path(getattr(found, name)).is_dir() and getattr(found, name):
                self.error(f"--{name} takes a file, and stands after the paths")
        if not found.paths:
            self.error("it takes run folders, sweep folders or globs")
        return found

    def error(self, message: str) -> NoReturn:
        raise UserError(f"compare: {message}.", *_USAGE)


def _asked(given: Namespace) -> Asked:
    if given.metric:
        metric(given.metric)
    rows = [word for word in given.baseline if "=" not in word]
    if len(rows) > 1 or (rows and len(given.baseline) > 1):
        raise UserError("--baseline is values of keys, or one row such as alone, not both.")
    return Asked(
        metric=given.metric,
        model=given.row,
        by=given.by,
        where=_wanted("--where", given.where),
        baseline=_wanted("--baseline", [] if rows else given.baseline),
        versus=rows[0] if rows else "",
        sort=given.sort,
    )


def _wanted(option: str, words: Sequence[str]) -> Wanted:
    """Key -> the texts of its values, from words as KEY=VALUE,VALUE."""
    found: dict[str, list[str]] = {}
    for word in words:
        key, equals, values = word.partition("=")
        if not equals or not key or not values:
            raise UserError(f"{option} {word}: it takes KEY=VALUE, e.g. loss.temperature=4.")
        found.setdefault(key, []).extend(_split(values))
    return found


def _split(values: str) -> list[str]:
    """At commas, but for those of lists."""
    parts, depth = [""], 0
    for sign in values:
        depth += (sign in "[{") - (sign in "]}")
        if sign == "," and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _write(comparison: Comparison, name: str, file: str, screen: Screen) -> None:
    text = FORMATS[name](comparison)
    if file == _STDOUT:
        screen.say(text)
    else:
        write_text(Path(file), f"{text}\n")
        screen.say(f"written to {file}")
