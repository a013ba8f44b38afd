"""`check=true`: what a run would do and take, without doing it."""

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
_SHOWN = 8  # letters of a fingerprint


def report_plan(plan: Plan, screen: Screen) -> None:
    """Print the stages, what the store has of them, both networks' sizes, and the time needed."""
    plan.hardware.prepare(plan.config.deterministic)
    runtime = plan.runtime(screen, Interrupt(), make_watch("none", Path()))
    screen.say(f"plan of {plan.config.slug}; nothing was written")
    screen.say("\n".join([plan.hardware.reason, *plan.notes, *plan.data.notes]))
    prints = plan.fingerprints(runtime)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("stage", "network", "parameters", "MACs", "epochs", "fingerprint", "takes"):
        table.add_column(title, overflow="fold", no_wrap=title not in ("stage", "network", "takes"))
    store = Store(Path(plan.config.store))
    for stage in plan.stages:
        node = stage.network.node
        data = _data(stage, plan)
        info = data.info
        network = build_network(node, data, plan.config.seed, "student")
        mark = prints[stage.info.name]
        made = stage.info.shared and is_whole(store.folder(mark), mark)
        table.add_row(
            stage.info.name.removeprefix("compress-"),
            model.title(node),
            count(parameters(network)),
            count(macs(network, (info.channels, *info.image_size), torch.device("cpu"))),
            str(_epochs(stage, plan)) if isinstance(stage, Train) else "-",
            mark[:_SHOWN],
            "in the store" if made else _estimate(stage, network, plan, runtime),
        )
    screen.show(table)


def _data(stage: Stage, plan: Plan) -> Data:
    """What a stage learns from."""
    data = plan.data_of(stage)
    return stage.samples(data) if isinstance(stage, Train) else data


def _loss(stage: Train, plan: Plan) -> Loss:
    """The stage's loss, bound to networks as they are drawn."""
    student, *teachers = (
        build_network(one.network.node, plan.data_of(one), plan.config.seed, one.role)
        for one in (stage, *stage.teachers)
    )
    loss = build_loss(stage.loss)
    bind_loss(loss, stage, student, teachers, _data(stage, plan))
    return loss


def _epochs(stage: Train, plan: Plan) -> int:
    """Epochs of all phases."""
    steps = _data(stage, plan).train.steps(stage.recipe.batch_size)
    first = [phase.epochs or 0 for phase in _loss(stage, plan).phases()[:-1]]
    return stage.recipe.epochs_of(steps) + sum(stage.recipe.within(one, steps) for one in first)


def _estimate(stage: object, network: nn.Module, plan: Plan, runtime: Runtime) -> str:
    """Time of all steps, from a few of forward and backward alone; a teacher's forward added."""
    if not isinstance(stage, Train):
        return "as it is"
    device, size = plan.hardware.device, stage.recipe.batch_size
    data = _data(stage, plan)
    batch = next(iter(data.train.batches(size, dtype=plan.hardware.dtype)))
    learner = as_trained(network.to(device), stage.frozen)
    seconds = _step_seconds(learner, batch.inputs, plan, backward=True)
    for other in stage.teachers:
        teacher = build_network(other.network.node, plan.data_of(other), 0, other.role).to(device)
        seconds += _step_seconds(teacher.eval(), batch.inputs, plan, backward=False)
    total = seconds * data.train.steps(size) * _epochs(stage, plan)
    return f"{total:.0f} s" if total < 120 else f"{total / 60:.0f} min"


def _step_seconds(network: nn.Module, inputs: Inputs, plan: Plan, backward: bool) -> float:
    for step in range(_TIMED_STEPS + 1):
        if step == 1:  # the first one warms up
            started = time.perf_counter()
        with torch.set_grad_enabled(backward), plan.hardware.autocast():
            answer = network(inputs).float().sum()
        if backward:
            answer.backward()
        if plan.hardware.device.type == "cuda":
            torch.cuda.synchronize()
    return (time.perf_counter() - started) / _TIMED_STEPS
