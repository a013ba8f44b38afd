"""Reports as files: of a run, of a sweep, of whatever paths name; and their figures."""

import re
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from kdrun.compare.gather import gather
from kdrun.compare.report.page import Page
from kdrun.compare.report.run_page import run_page
from kdrun.compare.report.sweep_page import sweep_page
from kdrun.core.atomic import write_bytes, write_text
from kdrun.core.errors import UserError
from kdrun.core.folder import RunFolder, report_of
from kdrun.core.named_file import make_folder, make_way
from kdrun.core.screen import Screen

_SHARP = 2  # pixels of a PNG file for each unit of a drawing
_NEEDS_EXTRA = (
    "PNG files need an extra that is not installed.",
    "  pip install 'kdrun[plot]'; or take SVG files: --format svg",
)


def write_run_report(folder: RunFolder, screen: Screen) -> None:
    """The report of a run that has ended, in its folder; a fault is told, and stops nothing."""
    _write_anyway(folder.report, lambda: run_page(folder), screen)


def write_sweep_report(folder: Path, screen: Screen) -> None:
    """The report of all runs of a sweep, in its folder; a fault is told, and stops nothing."""
    if _write_anyway(report_of(folder), lambda: page_of([str(folder)]), screen):
        screen.say(f"report: {report_of(folder)}")


def _write_anyway(path: Path, page: Callable[[], Page], screen: Screen) -> bool:
    """Whether it could be written."""
    try:
        write_text(path, page().html())
    except Exception as error:  # noqa: BLE001 - a run is good without its report
        told = str(error).splitlines() or [""]
        screen.warn(f"no report was written: {type(error).__name__}: {told[0]}")
        return False
    return True


def page_of(words: Sequence[str]) -> Page:
    """One run in full, or several held against each other.

    Raises:
        UserError: a word names nothing, or no run is below it.
        DamagedFile: a run that is alone has a file that is not what a run writes.
    """
    found = gather(words)
    paths = [run.path for run in found.runs] + [one.path for one in found.left_out]
    if len(paths) == 1:
        return run_page(RunFolder(paths[0]))
    named = "/".join(Path(words[0]).resolve().parts[-2:])
    title = f"Runs in {named}" if len(words) == 1 else f"{len(paths)} runs"
    return sweep_page(title, found)


def write_figures(page: Page, folder: Path, kind: str) -> list[Path]:
    """Each figure of a page as a file of its own.

    Args:
        page: the report.
        folder: is made if it isn't there.
        kind: svg or png.

    Raises:
        UserError: PNG needs an extra that is not installed, or they can't go there.
        DiskFull: they can't be written.
    """
    render = _png if kind == "png" else str.encode
    make_folder(folder)
    written: dict[Path, None] = {}
    for figure in page.figures():
        path, number = folder / f"{_file(figure.name)}.{kind}", 2
        while path in written:
            path, number = folder / f"{_file(figure.name)}-{number}.{kind}", number + 1
        write_bytes(make_way(path), render(figure.standalone()))
        written[path] = None
    return list(written)


def _file(name: str) -> str:
    """In letters that every file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def _png(svg: str) -> bytes:
    """As pixels; its text in the letters that come with matplotlib, so that no system needs any."""
    fonts = find_spec("matplotlib")
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise UserError(*_NEEDS_EXTRA) from error
    if fonts is None or fonts.origin is None:
        raise UserError(*_NEEDS_EXTRA)
    letters = Path(fonts.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return bytes(
        svg_to_bytes(
            svg_string=svg,
            zoom=_SHARP,
            skip_system_fonts=True,
            font_files=[str(letters)],
            font_family="DejaVu Sans",
            sans_serif_family="DejaVu Sans",
        )
    )
