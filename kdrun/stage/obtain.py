"""A stage's artefact, wherever it is: in the run folder, in the store, or still to be made."""

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
from kdrun.stage.artefact import Artefact, find_artefact, is_whole, read_artefact
from kdrun.stage.base import Stage, StageContext


def obtain(
    stage: Stage, context: StageContext, folder: RunFolder, store: Store, identity: str
) -> Artefact:
    """The stage's artefact in the run folder: there already, from the store, or made now."""
    place = folder.stage(stage.info.folder)
    there = _find(place, identity, context.screen, replaced=stage.info.shared)
    if there is not None:
        return there
    started = time.monotonic()
    found = False
    if stage.info.shared:
        found = _share(stage, context, store, identity, place)
        if found:
            for record in MetricsLog(place / METRICS).read():
                context.runtime.watch(record)
    else:
        stage.execute(context, place, identity)
    artefact = read_artefact(place)
    record_stage(folder, stage.info.name, identity, time.monotonic() - started, shared=found)
    context.screen.say(_outcome(stage, artefact, found))
    for warning in artefact.record.get("warnings", ()):
        context.screen.warn(f"{stage.info.name}: {warning}")
    return artefact


def _share(stage: Stage, context: StageContext, store: Store, identity: str, place: Path) -> bool:
    """Take the artefact from the store, making it there first; whether it was there before."""
    shared = store.folder(identity)
    if is_whole(shared, identity):
        share_artefact(shared, place)
        return True
    interrupt, name = context.runtime.interrupt, stage.info.name
    lock = store.lock(identity)
    with lock.acquire(
        wait=True, on_wait=context.screen.say, meanwhile=lambda: interrupt.check(name)
    ):
        found = is_whole(shared, identity)
        if not found:
            aside = store.set_aside(identity)
            if aside is not None:
                kept = f"it is kept as {str(aside)!r}, and made anew"
                context.screen.warn(f"{name}: {str(shared)!r} is damaged; {kept}")
            stage.execute(context, shared, identity)
        share_artefact(shared, place)
    return found


def _find(place: Path, identity: str, screen: Screen, replaced: bool) -> Artefact | None:
    """The stage's artefact in the run folder; a damaged one is none where the store replaces it."""
    try:
        return find_artefact(place, identity)
    except DamagedFile as error:
        if not replaced:
            raise
        screen.warn(f"{error.lines[0]} It is taken from the store again.")
        return None


def record_stage(
    folder: RunFolder, name: str, identity: str | None, seconds: float, shared: bool
) -> None:
    """Write down in the manifest how long a stage took, and where its artefact is from."""
    stages = folder.manifest().get("stages", {})
    before = stages[name]["seconds"] if name in stages else 0.0
    entry = StageEntry(fingerprint=identity, seconds=before + seconds, from_store=shared)
    folder.update(stages={**stages, name: entry})


def _outcome(stage: Stage, artefact: Artefact, found: bool) -> str:
    record, store = artefact.record, ", from the store" if found else ""
    if "said" in record:
        return f"{stage.info.name}: {record['said']}{store}"
    score, trained = validation_score(record, leading().name), record["epochs"]
    how = f"{trained} epochs, {record['seconds']:.1f} s" if trained else record["source"]
    stopped = f"; {record['stopped']}" if record.get("stopped") else ""
    what = f"{stage.info.name}: {model.title(record['model'])}"
    return f"{what}, validation {score:.2%} ({how}{store}{stopped})"
