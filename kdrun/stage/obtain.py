"""Gets the artefact of a stage: from the run folder, from the store, or by running the stage."""

import time
from pathlib import Path

from kdrun import model
from kdrun.core.errors import DamagedFile
from kdrun.core.folder import RunFolder
from kdrun.core.metrics import leading
from kdrun.core.metrics_log import MetricsLog
from kdrun.core.records.artefact import validation_score
from kdrun.core.records.manifest import StageEntry
from kdrun.core.screen import Screen
from kdrun.core.store import METRICS, Store, share_artefact
from kdrun.stage.artefact import Artefact, find_artefact, is_intact, read_artefact
from kdrun.stage.base import Stage, StageContext


def obtain(
    stage: Stage, context: StageContext, folder: RunFolder, store: Store, identity: str
) -> Artefact:
    """Return the stage's artefact; take it from the store or make it if it is missing."""
    stage_folder = folder.stage(stage.info.folder)
    artefact = _find(stage_folder, identity, context.screen, in_store=stage.info.shared)
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
        stage.execute(context, stage_folder, identity)
    artefact = read_artefact(stage_folder)
    record_stage(
        folder, stage.info.name, identity, time.monotonic() - started, from_store=from_store
    )
    context.screen.say(_outcome(stage, artefact, from_store))
    for warning in artefact.record.get("warnings", ()):
        context.screen.warn(f"{stage.info.name}: {warning}")
    return artefact


def _take_from_store(
    stage: Stage, context: StageContext, store: Store, identity: str, stage_folder: Path
) -> bool:
    """Copy the artefact from the store, after making it there if needed.

    Returns:
        Whether it was in the store already.
    """
    shared = store.folder(identity)
    if is_intact(shared, identity):
        share_artefact(shared, stage_folder)
        return True
    interrupt, name = context.runtime.interrupt, stage.info.name
    lock = store.lock(identity)
    with lock.acquire(
        wait=True, on_wait=context.screen.say, meanwhile=lambda: interrupt.check(name)
    ):
        from_store = is_intact(shared, identity)
        if not from_store:
            damaged_copy = store.set_aside(identity)
            if damaged_copy is not None:
                note = f"it is kept as {str(damaged_copy)!r}, and made anew"
                context.screen.warn(f"{name}: {str(shared)!r} is damaged; {note}")
            stage.execute(context, shared, identity)
        share_artefact(shared, stage_folder)
    return from_store


def _find(stage_folder: Path, identity: str, screen: Screen, in_store: bool) -> Artefact | None:
    """Return the artefact in the run folder; None if it is missing, or damaged but in the store."""
    try:
        return find_artefact(stage_folder, identity)
    except DamagedFile as error:
        if not in_store:
            raise
        screen.warn(f"{error.lines[0]} It is taken from the store again.")
        return None


def record_stage(
    folder: RunFolder, name: str, identity: str | None, seconds: float, from_store: bool
) -> None:
    """Record in the manifest how long a stage took, and where its artefact comes from."""
    stages = folder.manifest().get("stages", {})
    before = stages[name]["seconds"] if name in stages else 0.0
    entry = StageEntry(fingerprint=identity, seconds=before + seconds, from_store=from_store)
    folder.update(stages={**stages, name: entry})


def _outcome(stage: Stage, artefact: Artefact, from_store: bool) -> str:
    record, store_note = artefact.record, ", from the store" if from_store else ""
    if "said" in record:
        return f"{stage.info.name}: {record['said']}{store_note}"
    score, epochs = validation_score(record, leading().name), record["epochs"]
    details = f"{epochs} epochs, {record['seconds']:.1f} s" if epochs else record["source"]
    stopped = f"; {record['stopped']}" if record.get("stopped") else ""
    model_title = f"{stage.info.name}: {model.title(record['model'])}"
    return f"{model_title}, validation {score:.2%} ({details}{store_note}{stopped})"
