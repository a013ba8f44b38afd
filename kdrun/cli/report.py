"""`kdrun report`: writes runs as an HTML file that opens offline, and their figures as files."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from kdrun.cli.named_plugins import install_named_tasks
from kdrun.cli.verb_parser import VerbParser
from kdrun.compare.report.write import page_of, write_figures
from kdrun.config.verbs import usage
from kdrun.core.atomic import write_text
from kdrun.core.errors import UserError
from kdrun.core.folder import report_of
from kdrun.core.named_file import prepare_file
from kdrun.core.screen import Screen


def report_runs(words: Sequence[str], screen: Screen) -> int:
    """Run `kdrun report PATH... -o FILE` and return the exit status.

    Without -o the report is written to the folder that PATH names.

    Raises:
        UserError: no run is named, a file can't be written, or PNG files need an extra that is not
            installed.
        DiskFull: the disk has no room for the report.
    """
    words = install_named_tasks(words)
    options = parser().read(words)
    if not options.paths:
        raise UserError("report: no run is named.", *usage("report"), "  the runs: kdrun list runs")
    page = page_of(options.paths)
    path = _report_file(options)
    figures = write_figures(page, Path(options.figures), options.format) if options.figures else []
    write_text(path, page.html())
    screen.say(f"written to {path}")
    if options.figures:
        screen.say(f"{len(figures)} figures in {options.figures}")
    return 0


def parser() -> VerbParser:
    """Return the parser of the words after the verb."""
    parser = VerbParser("report")
    parser.add_argument("paths", nargs="*")
    parser.add_argument("-o", "--output")
    parser.add_argument("--figures")
    parser.add_argument("--format", choices=("svg", "png"), default="svg")
    return parser


def _report_file(options: Namespace) -> Path:
    """Return the file to which the report is written.

    Raises:
        UserError: there are several paths but no file, or the file is a folder or can't be written.
    """
    if options.output is None:
        if len(options.paths) > 1 or not Path(options.paths[0]).is_dir():
            raise UserError(
                "report of several paths needs a file: -o report.html", *usage("report")
            )
        return prepare_file(report_of(Path(options.paths[0])))
    path = Path(options.output)
    if path.is_dir():
        raise UserError(
            f"{options.output!r} is a folder.", f"  name a file: -o {path / 'report.html'}"
        )
    return prepare_file(path)
