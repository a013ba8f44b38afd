"""The details of one run: its command, stages, results, scores of both epochs, and files."""

import shlex
from collections.abc import Iterator

from rich.console import RenderableType

from kdrun.compare.columns import Column, table_of
from kdrun.compare.metrics import BEST, LAST, RowMetric, leading_at, metrics_of
from kdrun.compare.run_columns import MISSING, MODEL
from kdrun.compare.table import ResultsTable
from kdrun.core.errors import shell_command
from kdrun.core.folder import RunFolder
from kdrun.core.number_format import seconds
from kdrun.core.records.manifest import Manifest
from kdrun.core.records.summary import Row, Summary
from kdrun.task import task_of


def both_epochs(summary: Summary) -> str:
    """Return the title of the table of `epoch_columns`."""
    sign = task_of(summary).leading().unit.sign.strip()
    return f"both epochs on validation and on test, in {sign}; validation chose the best one"


def run_details(folder: RunFolder) -> Iterator[RenderableType]:
    """Yield the lines and tables that describe a run.

    Args:
        folder: the folder of a run, with a complete manifest.
    """
    manifest, summary = folder.manifest(), folder.summary()
    duration = f", {seconds(manifest['seconds'])} s" if manifest.get("seconds") else ""
    yield f"{manifest['name']}: {folder.status}, started {manifest['started']}{duration}"
    yield f"command: {manifest['command']}"
    settings = [word for word in _words(manifest["command"])[1:] if "=" in word]
    yield f"settings: {', '.join(settings) or 'none; all keys are as in conf/'}"
    yield f"{manifest['hardware']}; seed {manifest['seed']}"
    for name, stage in manifest.get("stages", {}).items():
        source = ", from the store" if stage["from_store"] else ""
        fingerprint = f", {stage['fingerprint']}" if stage["fingerprint"] else ""
        yield f"  {name}: {stage['seconds']:.1f} s{source}{fingerprint}"
    if summary is None:
        yield from _unfinished(folder, manifest)
    else:
        yield ResultsTable(summary)
        yield both_epochs(summary)
        yield table_of(epoch_columns(summary), summary["rows"])
    yield "files:"
    for name, path in folder.contents().items():
        yield f"  {name:<26}{path}"


def _unfinished(folder: RunFolder, manifest: Manifest) -> Iterator[str]:
    if error := manifest.get("error"):
        yield error
    is_running = folder.status == "running"
    next_step = (
        "it is running" if is_running else f"go on with it: {shell_command('resume', folder.path)}"
    )
    yield f"not finished; {next_step}"


def epoch_columns(summary: Summary) -> list[Column]:
    """Return columns of the leading metric on both splits, of the last and of the best epoch.

    Args:
        summary: the contents of summary.json.
    """
    metrics = [
        leading_at(metrics_of(summary), column_epoch, split)
        for column_epoch in (LAST, BEST)
        for split in ("validation", "test")
    ]
    best = Column("best\nepoch", _best_epoch)
    return [MODEL, *(_epoch_column(metric, summary["epoch"]) for metric in metrics), best]


def _epoch_column(metric: RowMetric, epoch: str) -> Column:
    def text(row: Row) -> str:
        value = metric.read(row, epoch)
        return MISSING if value is None else metric.text(value)

    return Column(metric.title, text)


def _best_epoch(row: Row) -> str:
    return str(row["best"]["epoch"]) if "best" in row else MISSING


def _words(command: str) -> list[str]:
    """Split a command line into its words; without regard to quotes where they don't match."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()
