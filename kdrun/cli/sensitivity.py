"""`kdrun sensitivity`: what compressing only one layer costs, for each layer."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from kdrun.cli.named_plugins import split_plugins
from kdrun.cli.verb_parser import VerbParser
from kdrun.compare.report.compression import sensitivity_chart
from kdrun.compare.runs import back_to_start, named_row, named_run
from kdrun.config.loader import find_plugins
from kdrun.core.atomic import write_text
from kdrun.core.errors import UserError
from kdrun.core.folder import STUDENT_ROW, RunFolder
from kdrun.core.lock import FolderLock
from kdrun.core.metrics import Metric
from kdrun.core.screen import Screen
from kdrun.task import task_of

# Layer -> trial (a way to compress it) -> change of the leading score, in the unit of tables.
Losses = dict[str, dict[str, float]]


def show_sensitivity(words: Sequence[str], screen: Screen) -> int:
    """Run `kdrun sensitivity RUN`: print a table, write sensitivity.json and sensitivity.svg.

    Raises:
        UserError: there is no such run or row, the run has no table, or the network is quantized.
    """
    plugins, words = split_plugins(words)
    find_plugins(plugins)  # allows the run to import them
    options = parser().read(words)
    folder = named_run(options.run, "sensitivity")
    row = named_row(folder, options.row)
    folder = back_to_start(folder)
    with FolderLock(folder.path).acquire(wait=False):
        metric = task_of(folder.config().get("dataset", {})).leading()
        score, losses = _measure(folder, *row, metric)
        folder.write_sensitivity({"row": options.row, "accuracy": score, "losses": losses})
        _print_losses(options.row, score, losses, metric, screen)
        chart = sensitivity_chart(options.row, score, losses, metric)
        write_text(folder.sensitivity_plot, chart.standalone())
        screen.say(f"written to {folder.sensitivity}\nwritten to {folder.sensitivity_plot}")
    return 0


def parser() -> VerbParser:
    """Return the parser of the words after the verb."""
    parser = VerbParser("sensitivity")
    parser.add_argument("run", nargs="*")
    parser.add_argument("--row", default=STUDENT_ROW)
    return parser


def _measure(folder: RunFolder, row: str, fingerprint: str, metric: Metric) -> tuple[float, Losses]:
    """Return the validation score of a row's network, and its change for each trial."""
    from kdrun.check.finished_run import read_run
    from kdrun.compress.sensitivity import trials
    from kdrun.compress.structure_changes import is_quantized
    from kdrun.core.device import choose_hardware
    from kdrun.engine.evaluate import score
    from kdrun.engine.interrupt import Interrupt
    from kdrun.stage.artefact import artefact_of

    config, data = read_run(folder, folder.config())
    artefact = artefact_of(folder, row, fingerprint)
    if is_quantized(artefact.changes):
        raise UserError(
            f"{row!r} is quantized already.", "  use a row before quantization: --row distilled"
        )
    hardware = choose_hardware(config.device, "fp32", config.threads, 1, 0)
    network, data = artefact.network().to(hardware.device), data.to(hardware.device)

    def leading_score() -> float:
        return score(network, data.validation, hardware, config.evaluate.batch_size)[metric.name]

    unchanged, losses = leading_score(), dict[str, dict[str, float]]()
    with Interrupt() as interrupt:
        for layer, trial in trials(network):
            interrupt.check("sensitivity")
            losses.setdefault(layer, {})[trial] = metric.unit.factor * (leading_score() - unchanged)
    return unchanged, losses


def _print_losses(row: str, score: float, losses: Losses, metric: Metric, screen: Screen) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("layer", overflow="fold")
    for trial in next(iter(losses.values())):
        table.add_column(trial, justify="right")
    for layer, points in losses.items():
        table.add_row(layer, *(f"{value:+.{metric.unit.decimals}f}" for value in points.values()))
    screen.say(
        f"{row}: validation {metric.text(score)}; change in {metric.unit.name} when only one layer"
        " is changed"
    )
    screen.show(table)
