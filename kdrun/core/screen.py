"""Prints everything that the user reads on the terminal, and copies it to the run's log."""

import sys
import time
import traceback
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from kdrun.core.atomic import explain_write_errors, open_in_place, refuse_link
from kdrun.core.control_characters import show_controls
from kdrun.core.environment_values import hide
from kdrun.core.errors import KdrunError, stop_status


class PlainConsole(Console):
    """A console that prints text by `_printable`; only rich's own controls take effect."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else _printable(text), style, control)


class Screen:
    """The terminal and the run's log file.

    Text is printed as it is, but for control characters, which are made visible, and values of
    environment variables that the config reads; nothing in it is read as rich's markup.
    """

    def __init__(self) -> None:
        self.console = PlainConsole(highlight=False, markup=False, soft_wrap=True)
        self.errors = PlainConsole(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._log: Path | None = None

    def log_to(self, path: Path | None) -> None:
        """Append a copy of every later line to the file `path`; None stops the copies.

        Raises:
            UserError: the file is a link.
        """
        if path is not None:
            refuse_link(path)
        self._log = path

    @property
    def live(self) -> bool:
        """Whether the output is a terminal, on which a live display can be drawn."""
        return self.console.is_terminal and sys.stdout.isatty()

    def say(self, text: str, style: str = "") -> None:
        """Print text of one or more lines, and log it."""
        self.console.print(Text(_printable(text), style=style))
        self.note(text)

    def note(self, text: str) -> None:
        """Write text to the log alone."""
        if self._log is not None:
            stamp = time.strftime("%H:%M:%S")
            lines = [f"{stamp} {line}\n".encode() for line in _printable(text).splitlines()]
            size = sum(map(len, lines))
            with explain_write_errors(self._log, size), open_in_place(self._log, "ab") as log:
                log.writelines(lines)

    def warn(self, text: str) -> None:
        """Print a warning, and log it."""
        self.say(f"warning: {text}", style="yellow")

    def fail(self, *lines: str) -> None:
        """Print to stderr why the command ends; the first line starts with `kdrun: `."""
        text = "\n".join([f"kdrun: {lines[0]}", *_indented(lines[1:])])
        self.errors.print(Text(_printable(text)))
        self.note("\n".join(lines))

    def show(self, renderable: Any) -> None:
        """Print a table, or anything else that rich can render, and log it as text."""
        self.console.print(renderable, soft_wrap=False)
        if self._log is not None:
            plain = StringIO()
            Console(file=plain, width=160, color_system=None).print(renderable)
            self.note(plain.getvalue())


def report(error: BaseException, screen: Screen, debug: bool) -> int:
    """Print why the command ends, and return its exit status.

    Args:
        error: what ended the command; its notes (`add_note`) say how to continue.
        screen: where it is printed.
        debug: print the traceback too.
    """
    notes = getattr(error, "__notes__", [])
    if debug:
        trace = "".join(traceback.format_exception(error))
        screen.errors.print(Text(_printable(trace.rstrip("\n"))))
    if isinstance(error, KdrunError):
        screen.fail(*error.lines, *notes)
        return error.status
    if isinstance(error, KeyboardInterrupt):
        screen.fail("interrupted.", *notes)
        return stop_status(error)
    screen.fail(
        f"{type(error).__name__}: {error}",
        "this is a fault of kdrun or of a plugin; debug=true, and the run's log, show where",
        *notes,
    )
    return 1


def _printable(text: str) -> str:
    return show_controls(hide(text))


def _indented(lines: tuple[str, ...]) -> list[str]:
    return [line if line.startswith(" ") else f"  {line}" for line in lines]
