"""One run in full: how it came about, its table, both epochs' figures, and where its files are."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType

from kdrun.compare.columns import Column, table_of
from kdrun.compare.metrics import METRICS
from kdrun.compare.number_format import Row, seconds
from kdrun.compare.table import results_table
from kdrun.core.errors import typed
from kdrun.core.folder import RunFolder

BOTH_EPOCHS = "both epochs on validation and on test, in %; validation chose the best one"
_EPOCHS = ("validation", "accuracy", "best_validation", "best_accuracy")


def whole_run(folder: RunFolder) -> Iterator[RenderableType]:
    """Lines and tables, from above to below.

    Args:
        folder: of a run that has what every run writes of itself.
    """
    manifest, summary = folder.manifest(), folder.summary()
    took = f", {seconds(manifest['seconds'])} s" if manifest.get("seconds") else ""
    yield f"{manifest['name']}: {folder.status}, started {manifest['started']}{took}"
    yield f"command: {manifest['command']}"
    given = [word for word in shlex.split(manifest["command"])[1:] if "=" in word]
    yield f"given: {', '.join(given) or 'nothing: all keys are as in conf/'}"
    yield f"{manifest['hardware']}; seed {manifest['seed']}"
    for name, stage in manifest.get("stages", {}).items():
        source = ", from the store" if stage["from_store"] else ""
        mark = f", {stage['fingerprint']}" if stage.get("fingerprint") else ""
        yield f"  {name}: {stage['seconds']:.1f} s{source}{mark}"
    if summary is None:
        yield from _unfinished(folder, manifest)
    else:
        yield results_table(summary)
        yield BOTH_EPOCHS
        yield table_of(epoch_columns(str(summary.get("epoch", "last"))), summary["rows"])
    yield "files:"
    for name, path in folder.contents().items():
        yield f"  {name:<26}{path}"


def _unfinished(folder: RunFolder, manifest: Mapping[str, Any]) -> Iterator[str]:
    if manifest["error"]:
        yield manifest["error"]
    going = folder.status == "running"
    then = "it is running" if going else f"go on with it: {typed('resume', folder.path)}"
    yield f"not finished; {then}"


def epoch_columns(epoch: str) -> list[Column]:
    """Each model's top-1 after the last epoch and after the best.

    Args:
        epoch: that the weights are of.
    """

    def figure(name: str) -> Column:
        one = METRICS[name]

        def text(row: Row) -> str:
            found = one.of(row, epoch)
            return "-" if found is None else one.shown(found)

        return Column(one.title, text)

    best = Column("best\nepoch", lambda row: str((row.get("best") or {}).get("epoch", "-")))
    model = Column("model", lambda row: row["model"], words=True)
    return [model, *map(figure, _EPOCHS), best]
