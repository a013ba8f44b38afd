"""Runs the stages of a checked plan in order, and fills the run folder."""

import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kdrun.compare.report.write import write_run_report
from kdrun.compare.table import ResultsTable
from kdrun.core.atomic import explain_full_disk
from kdrun.core.device import name_memory_errors
from kdrun.core.errors import DiskFull, Interrupted, KdrunError, TrialStopped, shell_command
from kdrun.core.folder import CRASHED, STUDENT_FOLDER, RunFolder
from kdrun.core.lock import FolderLock
from kdrun.core.plugin_code import refuse_changed_code
from kdrun.core.records.summary import Summary
from kdrun.core.screen import Screen
from kdrun.core.store import Store
from kdrun.engine.interrupt import Interrupt
from kdrun.engine.stop_trial import stop_hopeless_trial
from kdrun.engine.watch import make_watch
from kdrun.run.environment import changes_since, describe_environment, refuse_changes
from kdrun.run.plan import Plan
from kdrun.stage.artefact import Artefact, other_instructions
from kdrun.stage.base import MACHINE, StageContext
from kdrun.stage.evaluate import evaluate
from kdrun.stage.export import Exporter, exported_rows
from kdrun.stage.obtain import obtain, record_stage

_OTHER_DATA = (
    "resumed with images, or statistics of them, that are not those that the run began with"
)


def run(
    plan: Plan, path: Path, screen: Screen, command: str, lock: FolderLock | None = None
) -> Summary:
    """Run the stages that are not finished in a run folder, and print the results.

    Args:
        plan: the checked config.
        path: the run folder; an interrupted run is continued.
        screen: messages are printed here.
        command: the command that started the run, for the record.
        lock: the lock of the run folder, if the caller has taken it; it is released in the end.

    Returns:
        The summary, as in `summary.json`.

    Raises:
        RunInUse: another process is writing the folder.
        KdrunError: a stage failed; the manifest says so and the run can be resumed.
        Interrupted: a signal came.
        TrialStopped: validation was worse than that of most earlier trials of the search.
    """
    path.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(path)
    with lock or FolderLock(path), Interrupt() as interrupt:
        screen.log_to(folder.log)
        try:
            summary = _run_and_record(plan, folder, screen, interrupt, command)
            write_run_report(folder, screen)
        finally:
            screen.log_to(None)
    if interrupt.signal is not None:  # too late to stop this run, but its sweep has to stop
        raise Interrupted(interrupt.signal, f"interrupted; {path} is finished.")
    return summary


def _run_and_record(
    plan: Plan, folder: RunFolder, screen: Screen, interrupt: Interrupt, command: str
) -> Summary:
    """Run the stages, and record in the manifest how the run ended."""
    started = time.monotonic()
    manifest, environment = folder.manifest(), describe_environment(plan.hardware)
    refuse_changes(folder, manifest.get("config") or plan.tree, plan.tree)
    plan, recorded_code = _with_recorded_code(plan, folder, screen)
    inexact = manifest.get("inexact", [])
    inexact += changes_since(manifest.get("environment", environment), environment)
    digests = {name: data.digest for name, data in plan.datasets.items()}
    if manifest.get("data", digests) != digests:
        inexact += [_OTHER_DATA]
    earlier_seconds = manifest.get("seconds", 0.0)
    folder.write_config(plan.tree)
    folder.update(
        status="running",
        config=dict(plan.tree),
        started=manifest.get("started", _now()),
        command=manifest.get("command", command),
        path=str(folder.path.resolve()),
        working_folder=str(Path.cwd()),
        error=None,
        seed=plan.config.seed,
        tags=plan.config.tags,
        name=plan.config.slug,
        hardware=manifest.get("hardware", plan.hardware.reason),
        environment=environment,
        inexact=inexact,
        data=digests,
        plugins=recorded_code,
        revisions=plan.revisions,
    )
    ending: dict[str, Any] = {"status": "failed", "error": None}
    try:
        no_memory = name_memory_errors("out of memory.", "  use smaller networks or batches")
        with explain_full_disk(folder.path), no_memory:
            summary = _run_stages(plan, folder, screen, interrupt, inexact)
        ending = {"status": "finished", "error": None, "sums": folder.sums()}
    except KeyboardInterrupt as error:
        ending = {"status": "interrupted", "error": "interrupted at once"}
        error.add_note(_resume_hint(folder))
        raise
    except KdrunError as error:
        ending["error"] = error.lines[0]
        if isinstance(error, Interrupted):
            ending["status"] = "interrupted"
        if isinstance(error, TrialStopped):
            ending["status"] = "pruned"
        if error.resumable:
            error.add_note(_resume_hint(folder))
        raise
    except SystemExit as error:
        ending["error"] = f"code of the run ended the program: sys.exit({error.code!r})"
        raise KdrunError(ending["error"], _resume_hint(folder)) from error
    except Exception as error:
        ending["error"] = f"{type(error).__name__}: {error}"
        error.add_note(_resume_hint(folder))
        with suppress(DiskFull):
            screen.note(traceback.format_exc())
        raise
    finally:
        seconds = earlier_seconds + time.monotonic() - started
        peak = plan.hardware.peak_memory()
        with _keep_first_error(folder):
            folder.update(**ending, ended=_now(), seconds=seconds, peak_memory=peak)
    return summary


@contextmanager
def _keep_first_error(folder: RunFolder) -> Iterator[None]:
    """Write the end of a run; if this fails too, say so below the error that ended the run."""
    first = sys.exception()
    try:
        yield
    except DiskFull as error:
        if first is None:
            error.add_note(_resume_hint(folder))
            raise
        first.add_note(f"  nor could its record be written: the run is shown as {CRASHED}")


def _resume_hint(folder: RunFolder) -> str:
    return f"  go on with it: {shell_command('resume', folder.path)}"


def _with_recorded_code(
    plan: Plan, folder: RunFolder, screen: Screen
) -> tuple[Plan, dict[str, str] | None]:
    """Refuse to go on with a run whose plugins were changed.

    Returns:
        The plan, and name -> hash of the code of each plugin. An older kdrun recorded no hashes,
        which are None then, and counted no plugin in fingerprints, nor does the plan then.

    Raises:
        UserError: a plugin was changed since the run began.
    """
    manifest = folder.manifest()
    if "started" in manifest and manifest.get("plugins") is None:
        if plan.plugins:
            screen.warn(
                f"the run began with an older kdrun, which did not record the code of"
                f" {', '.join(plan.plugins)}; it goes on as if that were unchanged"
            )
        return replace(plan, plugins={}), None
    digests = {name: code.digest for name, code in plan.plugins.items()}
    refuse_changed_code(manifest.get("plugins") or {}, plan.plugins, folder.path)
    return plan, digests


def _run_stages(
    plan: Plan, folder: RunFolder, screen: Screen, interrupt: Interrupt, inexact: list[str]
) -> Summary:
    plan.hardware.prepare(plan.config.deterministic)
    watch = make_watch(plan.config.logger, folder.path)
    if plan.thresholds:
        metric, stage_folder = plan.data.task.leading(), folder.stage(STUDENT_FOLDER)
        watch = stop_hopeless_trial(watch, plan.thresholds, stage_folder, metric)
    runtime = plan.runtime(screen, interrupt, watch)
    context = StageContext(plan.config, plan.data, runtime, {})
    fingerprints = plan.fingerprints(runtime)
    trainings = plan.fingerprints(runtime, without=MACHINE)
    screen.say(f"{plan.config.slug} in {folder.path}")
    screen.say("\n".join([plan.hardware.reason, *plan.notes]))
    if inexact:
        screen.warn(f"not exact: {'; '.join(inexact)}")
    for stage in plan.stages:
        name = stage.info.name
        stage_context = replace(context, data=plan.data_of(stage), training=trainings[name])
        artefact = obtain(
            stage, stage_context, folder, Store(plan.config.store), fingerprints[name]
        )
        context = replace(context, artefacts={**context.artefacts, name: artefact})
        folder.gather_metrics(folder.stage(each.info.folder) for each in plan.stages)
    strange = other_instructions(context.artefacts)
    if strange and strange not in inexact:
        inexact.append(strange)
        folder.update(inexact=inexact)
        screen.warn(f"not exact: {strange}")
    in_table = [stage for stage in plan.stages if stage.info.label]
    rows = {stage.info.label: context.artefacts[stage.info.name] for stage in in_table}
    steps = [stage for stage in in_table if stage.info.baseline]
    started = time.monotonic()
    summary = evaluate(context, rows, folder, inexact, plan.domains, steps)
    record_stage(folder, "evaluate", None, time.monotonic() - started, from_store=False)
    screen.show(ResultsTable(summary))
    if plan.config.export:
        compressed = [step.info.label for step in steps]
        _export(context, exported_rows(rows, compressed, plan.config.export), folder)
    screen.say(f"written to {folder.path}")
    return summary


def _export(context: StageContext, rows: Mapping[str, Artefact], folder: RunFolder) -> None:
    started, interrupt = time.monotonic(), context.runtime.interrupt

    def check_interrupt() -> None:
        interrupt.check("export")

    Exporter(folder.export, context.config, context.data, context.screen, check_interrupt).export(
        rows
    )
    record_stage(folder, "export", None, time.monotonic() - started, from_store=False)


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
