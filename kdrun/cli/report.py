"""`kdrun report`: runs as one HTML file that opens offline, and their figures as files."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from kdrun.compare.report.page import Page
from kdrun.compare.report.write import page_of, write_figures
from kdrun.core.atomic import write_text
from kdrun.core.errors import UserError
from kdrun.core.folder import report_of
from kdrun.core.named_file import make_way
from kdrun.core.screen import Screen

_USAGE = "  kdrun report PATH... [-o report.html] [--figures FOLDER] [--format svg|png]"


def report_runs(words: Sequence[str], screen: Screen) -> int:
    """`kdrun report PATH... -o report.html`: a run in full, or several held against each other.

    Without -o the report goes into the folder that is named.

    Raises:
        UserError: no run is named, a file can't go where it should, or PNG files need an extra
            that is missing.
        DiskFull: the report can't be written.
    """
    asked = _Words(add_help=False, allow_abbrev=False).read(words)
    page = _page(asked.paths)
    path = _target(asked)
    figures = write_figures(page, Path(asked.figures), asked.format) if asked.figures else []
    write_text(path, page.html())
    screen.say(f"written to {path}")
    if asked.figures:
        screen.say(f"{len(figures)} figures in {asked.figures}")
    return 0


class _Words(ArgumentParser):
    """What may stand after the verb."""

    def read(self, words: Sequence[str]) -> Namespace:
        self.add_argument("paths", nargs="*")
        self.add_argument("-o", "--output")
        self.add_argument("--figures")
        self.add_argument("--format", choices=("svg", "png"), default="svg")
        return self.parse_intermixed_args(list(words))

    def error(self, message: str) -> NoReturn:
        raise UserError(f"report: {message}.", _USAGE)


def _page(paths: Sequence[str]) -> Page:
    if not paths:
        raise UserError("report: no run is named.", _USAGE, "  the runs: kdrun list runs")
    return page_of(paths)


def _target(asked: Namespace) -> Path:
    """Where the report goes.

    Raises:
        UserError: that is unknown, a folder, or can't be written.
    """
    if asked.output is None:
        if len(asked.paths) > 1 or not Path(asked.paths[0]).is_dir():
            raise UserError("report of several paths: say where it goes: -o report.html", _USAGE)
        return make_way(report_of(Path(asked.paths[0])))
    path = Path(asked.output)
    if path.is_dir():
        raise UserError(
            f"{asked.output!r} is a folder.", f"  name a file: -o {path / 'report.html'}"
        )
    return make_way(path)
