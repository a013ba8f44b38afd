"""`check=true`: prints the stages of a run with sizes and estimated times, and runs nothing."""

import time
from pathlib import Path

import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table
from torch import nn

from kdrun import model
from kdrun.check.training import as_trained
from kdrun.core.number_format import count, duration
from kdrun.core.screen import Screen
from kdrun.core.store import Store
from kdrun.core.types import Inputs
from kdrun.dataset.data import Data
from kdrun.engine.interrupt import Interrupt
from kdrun.engine.watch import make_watch
from kdrun.loss.base import Loss
from kdrun.loss.table import build_loss
from kdrun.measure.cost import macs, parameters
from kdrun.run.plan import Plan
from kdrun.stage.artefact import is_intact
from kdrun.stage.base import Stage
from kdrun.stage.start import build_network
from kdrun.stage.tap_binding import bind_loss
from kdrun.stage.train import Train

_TIMED_STEPS = 3
_FINGERPRINT_LENGTH = 8  # shown letters of a fingerprint


def report_plan(plan: Plan, screen: Screen) -> None:
    """Print a table of the stages: network, size, epochs, fingerprint and estimated time."""
    plan.hardware.prepare(plan.config.deterministic)
    runtime = plan.runtime(screen, Interrupt(), make_watch("none", Path()))
    screen.say(f"plan of {plan.config.slug}; nothing was written")
    screen.say("\n".join([plan.hardware.reason, *plan.notes]))
    fingerprints = plan.fingerprints(runtime)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("stage", "network", "parameters", "MACs", "epochs", "fingerprint", "takes"):
        table.add_column(title, overflow="fold", no_wrap=title not in ("stage", "network", "takes"))
    store = Store(Path(plan.config.store))
    for stage in plan.stages:
        node = stage.network.node
        data = _data_of(stage, plan)
        info = data.info
        network = build_network(node, data, plan.config.seed, "student")
        fingerprint = fingerprints[stage.info.name]
        epochs = _epochs(stage, plan) if isinstance(stage, Train) else 0
        stored = stage.info.shared and is_intact(store.folder(fingerprint), fingerprint)
        table.add_row(
            stage.info.name.removeprefix("compress-"),
            model.title(node),
            count(parameters(network)),
            count(macs(network, info.example(1))),
            str(epochs or "-"),
            fingerprint[:_FINGERPRINT_LENGTH],
            "in the store" if stored else _estimate(stage, network, plan, epochs),
        )
    screen.show(table)


def _data_of(stage: Stage, plan: Plan) -> Data:
    """Return the data of a stage; for training, the samples that the stage trains on."""
    data = plan.data_of(stage)
    return stage.samples(data) if isinstance(stage, Train) else data


def _bound_loss(stage: Train, plan: Plan) -> Loss:
    """Return the loss of a stage, bound to networks with random weights."""
    student, *teachers = (
        build_network(source.network.node, plan.data_of(source), plan.config.seed, source.role)
        for source in (stage, *stage.teachers)
    )
    loss = build_loss(stage.loss)
    bind_loss(loss, stage, student, teachers, _data_of(stage, plan))
    return loss


def _epochs(stage: Train, plan: Plan) -> int:
    """Return the total number of epochs of all phases of a stage."""
    steps = _data_of(stage, plan).train.steps(stage.recipe.batch_size)
    earlier_phases = [phase.epochs or 0 for phase in _bound_loss(stage, plan).phases()[:-1]]
    return stage.recipe.epochs_of(steps) + sum(
        stage.recipe.within(n, steps) for n in earlier_phases
    )


def _estimate(stage: object, network: nn.Module, plan: Plan, epochs: int) -> str:
    """Estimate the time of a stage from a few passes of the student and of its teachers."""
    if not isinstance(stage, Train):
        return "as it is"
    device, size = plan.hardware.device, stage.recipe.batch_size
    data = _data_of(stage, plan)
    batch = next(iter(data.train.batches(size, dtype=plan.hardware.dtype)))
    student = as_trained(network.to(device), stage.frozen)
    seconds = _step_seconds(student, batch.inputs, plan, backward=True)
    for source in stage.teachers:
        teacher = build_network(source.network.node, plan.data_of(source), 0, source.role)
        teacher = teacher.to(device)
        seconds += _step_seconds(teacher.eval(), batch.inputs, plan, backward=False)
    return duration(seconds * data.train.steps(size) * epochs)


def _step_seconds(network: nn.Module, inputs: Inputs, plan: Plan, backward: bool) -> float:
    """Return the mean seconds of a forward pass, plus a backward pass if `backward` is true."""
    for step in range(_TIMED_STEPS + 1):
        if step == 1:  # the first step is a warm-up
            started = time.perf_counter()
        with torch.set_grad_enabled(backward), plan.hardware.autocast():
            total = network(inputs).float().sum()
        if backward:
            total.backward()
        if plan.hardware.device.type == "cuda":
            torch.cuda.synchronize()
    return (time.perf_counter() - started) / _TIMED_STEPS
