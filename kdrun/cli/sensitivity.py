"""`kdrun sensitivity`: which layers of a finished run's network bear compression."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich.box import SIMPLE_HEAD
from rich.table import Table

from kdrun.compare.runs import back_to_start, named_row, named_run
from kdrun.core.errors import UserError
from kdrun.core.folder import RunFolder
from kdrun.core.lock import FolderLock
from kdrun.core.screen import Screen

_USAGE = "  kdrun sensitivity RUN [--row NAME]"
_ROW = "distilled"

Losses = Mapping[str, Mapping[str, float]]  # layer -> trial -> points of accuracy, below 0 if lost


def show_sensitivity(words: Sequence[str], screen: Screen) -> int:
    """`kdrun sensitivity RUN [--row NAME]`: a table, RUN/sensitivity.json and a plot beside it.

    Raises:
        UserError: no run, one without figures yet, no such row, or a quantized network.
    """
    asked = _Words(add_help=False, allow_abbrev=False).read(words)
    folder = named_run(asked.run, "sensitivity")
    row = named_row(folder, asked.row)
    folder = back_to_start(folder)
    with FolderLock(folder.path).acquire(wait=False):
        level, losses = _measure(folder, *row)
        folder.write_sensitivity({"row": asked.row, "accuracy": level, "losses": losses})
        _tell(asked.row, level, losses, screen)
        screen.say(f"written to {folder.sensitivity}")
        _plot(losses, folder.sensitivity_plot, screen)
    return 0


class _Words(ArgumentParser):
    """What may stand after the verb."""

    def read(self, words: Sequence[str]) -> Namespace:
        self.add_argument("run", nargs="*")
        self.add_argument("--row", default=_ROW)
        return self.parse_intermixed_args(list(words))

    def error(self, message: str) -> NoReturn:
        raise UserError(f"sensitivity: {message}.", _USAGE)


def _measure(folder: RunFolder, row: str, fingerprint: str) -> tuple[float, Losses]:
    """The row's accuracy on validation, and what each trial takes of it."""
    from kdrun.check.preflight import read_run
    from kdrun.compress.quantize.requantize import is_quantized
    from kdrun.compress.sensitivity import trials
    from kdrun.core.device import choose_hardware
    from kdrun.engine.evaluate import score
    from kdrun.engine.interrupt import Interrupt
    from kdrun.stage.artefact import artefact_of

    config, data = read_run(folder.config())
    artefact = artefact_of(folder, row, fingerprint)
    if is_quantized(artefact.changes):
        raise UserError(
            f"{row!r} is quantized already.", "  take a row before that: --row distilled"
        )
    hardware = choose_hardware(config.device, "fp32", config.threads, 1, 0)
    network, data = artefact.network().to(hardware.device), data.to(hardware.device)

    def accuracy() -> float:
        return score(network, data.validation, hardware, config.evaluate.batch_size).accuracy

    level, losses = accuracy(), dict[str, dict[str, float]]()
    with Interrupt() as interrupt:
        for layer, trial in trials(network):
            interrupt.check("sensitivity")
            losses.setdefault(layer, {})[trial] = 100 * (accuracy() - level)
    return level, losses


def _tell(row: str, level: float, losses: Losses, screen: Screen) -> None:
    first = next(iter(losses.values()))
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("layer", overflow="fold")
    for trial in first:
        table.add_column(trial, justify="right")
    for layer, found in losses.items():
        table.add_row(layer, *(f"{points:+.2f}" for points in found.values()))
    screen.say(f"{row}: validation {level:.2%}; points when one layer alone is changed")
    screen.show(table)


def _plot(losses: Losses, path: Path, screen: Screen) -> None:
    """A line for each trial over the layers in their order, as SVG."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        screen.say("for a plot beside them: pip install 'kdrun[plot]'")
        return
    figure = Figure(figsize=(max(6, 0.25 * len(losses) + 2), 4), layout="constrained")
    axes: Any = figure.subplots()
    for trial in next(iter(losses.values())):
        axes.plot(list(losses), [found[trial] for found in losses.values()], "o-", label=trial)
    axes.set_ylabel("change of validation accuracy, points")
    axes.tick_params(axis="x", rotation=90)
    axes.legend()
    with mpl.rc_context({"svg.hashsalt": "kdrun"}):  # the same file for the same figures
        figure.savefig(path, format="svg", metadata={"Date": None})
    screen.say(f"written to {path}")
