"""Gets the artefact of a stage: from the run folder, from the store, or by running the stage."""

import time
from contextlib import suppress
from pathlib import Path

from kdrun import model
from kdrun.core.errors import DamagedFile, UserError
from kdrun.core.folder import RunFolder
from kdrun.core.metrics import Metric
from kdrun.core.metrics_log import MetricsLog
from kdrun.core.records.artefact import validation_score
from kdrun.core.records.manifest import StageEntry
from kdrun.core.store import METRICS, Store, is_complete, share_artefact
from kdrun.stage.artefact import Artefact, find_artefact, read_artefact
from kdrun.stage.base import Stage, StageContext
from kdrun.stage.recorded_scores import score_again
from kdrun.stage.tokenizer_file import write_tokenizer


def obtain(
    stage: Stage, context: StageContext, folder: RunFolder, store: Store, identity: str
) -> Artefact:
    """Return the stage's artefact; take it from the store or make it if it is missing."""
    stage_folder = folder.stage(stage.info.folder)
    artefact = _find(stage_folder, identity, context, in_store=stage.info.shared)
    if artefact is not None:
        return artefact
    started = time.monotonic()
    from_store = False
    if stage.info.shared:
        from_store = _take_from_store(stage, context, store, identity, stage_folder)
        if from_store:
            for record in MetricsLog(stage_folder / METRICS).read():
                context.runtime.watch(record)
    else:
        _execute(stage, context, stage_folder, identity)
    artefact = read_artefact(stage_folder)
    record_stage(
        folder, stage.info.name, identity, time.monotonic() - started, from_store=from_store
    )
    context.screen.say(_outcome(stage, artefact, from_store, context.data.task.leading()))
    for warning in artefact.record.get("warnings", ()):
        context.screen.warn(f"{stage.info.name}: {warning}")
    return artefact


def _execute(stage: Stage, context: StageContext, folder: Path, identity: str) -> None:
    """Run a stage; the tokenizer of a network of texts is a file of its artefact."""
    write_tokenizer(folder, context.data, stage.network.node)
    stage.execute(context, folder, identity)


def _take_from_store(
    stage: Stage, context: StageContext, store: Store, identity: str, stage_folder: Path
) -> bool:
    """Copy the artefact from the store, after making it there if needed.

    Returns:
        Whether it was in the store already.
    """
    shared, name = store.folder(identity), stage.info.name
    with suppress(FileNotFoundError):  # `kdrun store prune` may delete it meanwhile
        if not _fault_in_store(shared, identity, context):
            share_artefact(shared, stage_folder)
            if is_complete(stage_folder, identity):  # the record is shared last and deleted first
                return True
    interrupt = context.runtime.interrupt
    lock = store.lock(identity)
    with lock.acquire(
        wait=True, on_wait=context.screen.say, meanwhile=lambda: interrupt.check(name)
    ):
        fault = _fault_in_store(shared, identity, context)
        if fault:
            kept_as = store.set_aside(identity)
            if kept_as is not None:
                note = f"it is kept as {str(kept_as)!r}, and made anew"
                context.screen.warn(f"{name}: {str(shared)!r} {fault}; {note}")
            _execute(stage, context, shared, identity)
        share_artefact(shared, stage_folder)
    return not fault


def _fault_in_store(folder: Path, identity: str, context: StageContext) -> str:
    """Return why an artefact of the store can't be used; empty if it can.

    A network whose scores are not those of its record is made anew, like a damaged one: the run has
    all that is needed for that, and the new one is what its code now gives.
    """
    try:
        artefact = find_artefact(folder, identity)
        return "is missing" if artefact is None else score_again(artefact, context)
    except DamagedFile:
        return "is damaged"


def _find(
    stage_folder: Path, identity: str, context: StageContext, in_store: bool
) -> Artefact | None:
    """Return the artefact in the run folder; None if it is missing, or damaged but in the store.

    Raises:
        DamagedFile: it is damaged, and not in the store.
        UserError: its scores are not those of its record. It is not made anew, as other stages of
            the run may have learned from it already.
    """
    try:
        artefact = find_artefact(stage_folder, identity)
    except DamagedFile as error:
        if not in_store:
            raise
        context.screen.warn(f"{error.lines[0]} It is taken from the store again.")
        return None
    fault = score_again(artefact, context) if artefact is not None else ""
    if fault:
        raise UserError(
            f"the network in {str(stage_folder)!r} {fault}.",
            "  undo the change of the code or of the packages, or start a new run",
        )
    return artefact


def record_stage(
    folder: RunFolder, name: str, identity: str | None, seconds: float, from_store: bool
) -> None:
    """Record in the manifest how long a stage took, and where its artefact comes from."""
    stages = folder.manifest().get("stages", {})
    before = stages[name]["seconds"] if name in stages else 0.0
    entry = StageEntry(fingerprint=identity, seconds=before + seconds, from_store=from_store)
    folder.update(stages={**stages, name: entry})


def _outcome(stage: Stage, artefact: Artefact, from_store: bool, metric: Metric) -> str:
    record, store_note = artefact.record, ", from the store" if from_store else ""
    if "said" in record:
        return f"{stage.info.name}: {record['said']}{store_note}"
    score, epochs = validation_score(record, metric.name), record["epochs"]
    details = f"{epochs} epochs, {record['seconds']:.1f} s" if epochs else record["source"]
    stopped = f"; {record['stopped']}" if record.get("stopped") else ""
    model_title = f"{stage.info.name}: {model.title(record['model'])}"
    return f"{model_title}, validation {metric.text(score)} ({details}{store_note}{stopped})"
