"""`check=true`: the stages of a run with their sizes and times, without running them."""

import time
from pathlib import Path

import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table
from torch import nn

from kdrun import model
from kdrun.check.training import as_trained
from kdrun.core.number_format import count
from kdrun.core.screen import Screen
from kdrun.core.store import Store
from kdrun.core.types import Inputs
from kdrun.dataset.data import Data
from kdrun.engine.interrupt import Interrupt
from kdrun.engine.training_spec import Runtime
from kdrun.engine.watch import make_watch
from kdrun.loss.base import Loss
from kdrun.loss.table import build_loss
from kdrun.measure.cost import macs, parameters
from kdrun.run.runner import Plan
from kdrun.stage.artefact import is_whole
from kdrun.stage.base import Stage
from kdrun.stage.start import build_network
from kdrun.stage.tap_binding import bind_loss
from kdrun.stage.train import Train

_TIMED_STEPS = 3
_FINGERPRINT = 8  # letters of a fingerprint that are shown


def report_plan(plan: Plan, screen: Screen) -> None:
    """Print a table of the stages: network, size, epochs, fingerprint, and the time it takes."""
    plan.hardware.prepare(plan.config.deterministic)
    runtime = plan.runtime(screen, Interrupt(), make_watch("none", Path()))
    screen.say(f"plan of {plan.config.slug}; nothing was written")
    screen.say("\n".join([plan.hardware.reason, *plan.notes, *plan.data.notes]))
    fingerprints = plan.fingerprints(runtime)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("stage", "network", "parameters", "MACs", "epochs", "fingerprint", "takes"):
        table.add_column(title, overflow="fold", no_wrap=title not in ("stage", "network", "takes"))
    store = Store(Path(plan.config.store))
    for stage in plan.stages:
        node = stage.network.node
        data = _data(stage, plan)
        info = data.info
        network = build_network(node, data, plan.config.seed, "student")
        fingerprint = fingerprints[stage.info.name]
        stored = stage.info.shared and is_whole(store.folder(fingerprint), fingerprint)
        table.add_row(
            stage.info.name.removeprefix("compress-"),
            model.title(node),
            count(parameters(network)),
            count(macs(network, (info.channels, *info.image_size), torch.device("cpu"))),
            str(_epochs(stage, plan)) if isinstance(stage, Train) else "-",
            fingerprint[:_FINGERPRINT],
            "in the store" if stored else _estimate(stage, network, plan, runtime),
        )
    screen.show(table)


def _data(stage: Stage, plan: Plan) -> Data:
    """The data of a stage."""
    data = plan.data_of(stage)
    return stage.samples(data) if isinstance(stage, Train) else data


def _loss(stage: Train, plan: Plan) -> Loss:
    """The stage's loss, bound to networks with random weights."""
    student, *teachers = (
        build_network(one.network.node, plan.data_of(one), plan.config.seed, one.role)
        for one in (stage, *stage.teachers)
    )
    loss = build_loss(stage.loss)
    bind_loss(loss, stage, student, teachers, _data(stage, plan))
    return loss


def _epochs(stage: Train, plan: Plan) -> int:
    """How many epochs all phases of a stage take together."""
    steps = _data(stage, plan).train.steps(stage.recipe.batch_size)
    before = [phase.epochs or 0 for phase in _loss(stage, plan).phases()[:-1]]
    return stage.recipe.epochs_of(steps) + sum(stage.recipe.within(n, steps) for n in before)


def _estimate(stage: object, network: nn.Module, plan: Plan, runtime: Runtime) -> str:
    """The time of all steps, estimated from a few passes of the student and of its teachers."""
    if not isinstance(stage, Train):
        return "as it is"
    device, size = plan.hardware.device, stage.recipe.batch_size
    data = _data(stage, plan)
    batch = next(iter(data.train.batches(size, dtype=plan.hardware.dtype)))
    student = as_trained(network.to(device), stage.frozen)
    seconds = _step_seconds(student, batch.inputs, plan, backward=True)
    for one in stage.teachers:
        teacher = build_network(one.network.node, plan.data_of(one), 0, one.role).to(device)
        seconds += _step_seconds(teacher.eval(), batch.inputs, plan, backward=False)
    total = seconds * data.train.steps(size) * _epochs(stage, plan)
    return f"{total:.0f} s" if total < 120 else f"{total / 60:.0f} min"


def _step_seconds(network: nn.Module, inputs: Inputs, plan: Plan, backward: bool) -> float:
    """The mean time of a forward pass, with its backward pass if `backward`."""
    for step in range(_TIMED_STEPS + 1):
        if step == 1:  # the first one warms up
            started = time.perf_counter()
        with torch.set_grad_enabled(backward), plan.hardware.autocast():
            total = network(inputs).float().sum()
        if backward:
            total.backward()
        if plan.hardware.device.type == "cuda":
            torch.cuda.synchronize()
    return (time.perf_counter() - started) / _TIMED_STEPS
