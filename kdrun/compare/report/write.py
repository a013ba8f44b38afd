"""Writes reports of runs and sweeps as HTML pages, and their figures as files."""

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
from kdrun.core.named_file import prepare_file, prepare_folder
from kdrun.core.screen import Screen

_PNG_SCALE = 2  # pixels for each SVG user unit
_NEEDS_EXTRA = (
    "PNG files need an extra that is not installed.",
    "  pip install 'kdrun[plot]'; or take SVG files: --format svg",
)


def write_run_report(folder: RunFolder, screen: Screen) -> None:
    """Write the report of a run to its folder; if this fails, print a warning."""
    _try_to_write(folder.report, lambda: run_page(folder), screen)


def write_sweep_report(folder: Path, screen: Screen) -> None:
    """Write the report of a sweep to its folder; if this fails, print a warning."""
    if _try_to_write(report_of(folder), lambda: page_of([str(folder)]), screen):
        screen.say(f"report: {report_of(folder)}")


def _try_to_write(path: Path, page: Callable[[], Page], screen: Screen) -> bool:
    """Write a page and return whether that succeeded; print a warning if it did not."""
    try:
        write_text(path, page().html())
    except Exception as error:  # noqa: BLE001 - a run is complete without its report
        reason = (str(error).splitlines() or [""])[0]
        screen.warn(f"no report was written: {type(error).__name__}: {reason}")
        return False
    return True


def page_of(paths: Sequence[str]) -> Page:
    """Return the page of a run if the paths hold only one run, else a page that compares them.

    Args:
        paths: run folders, sweep folders, folders of runs or globs.

    Raises:
        UserError: a path names nothing, or holds no run.
        DamagedFile: a file of the only run is damaged.
    """
    gathered = gather(paths, thorough=True)
    folders = [run.path for run in gathered.runs]
    folders += [run.path for run in gathered.left_out]
    if len(folders) == 1:
        return run_page(RunFolder(folders[0]))
    name = "/".join(Path(paths[0]).resolve().parts[-2:])
    title = f"Runs in {name}" if len(paths) == 1 else f"{len(folders)} runs"
    return sweep_page(title, gathered)


def write_figures(page: Page, folder: Path, kind: str) -> list[Path]:
    """Write each figure of a page to a separate file, and return the files.

    Args:
        page: the report.
        folder: folder of the files; created if it does not exist.
        kind: svg or png.

    Raises:
        UserError: PNG needs an extra that is not installed, or the folder can't be created.
        DiskFull: the disk has no room for the files.
    """
    render = _png if kind == "png" else str.encode
    prepare_folder(folder)
    written: list[Path] = []
    for figure in page.figures():
        name = _safe_file_name(figure.name)
        path, number = folder / f"{name}.{kind}", 2
        while path in written:
            path, number = folder / f"{name}-{number}.{kind}", number + 1
        write_bytes(prepare_file(path), render(figure.standalone()))
        written.append(path)
    return written


def _safe_file_name(name: str) -> str:
    """Replace characters that some file systems reject."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def _png(svg: str) -> bytes:
    """Render an SVG file as PNG, with a font of matplotlib: no system font is needed."""
    matplotlib = find_spec("matplotlib")  # only located: its drawing is not used
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise UserError(*_NEEDS_EXTRA) from error
    if matplotlib is None or matplotlib.origin is None:
        raise UserError(*_NEEDS_EXTRA)
    font = Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return bytes(
        svg_to_bytes(
            svg_string=svg,
            zoom=_PNG_SCALE,
            skip_system_fonts=True,
            font_files=[str(font)],
            font_family="DejaVu Sans",
            sans_serif_family="DejaVu Sans",
        )
    )
