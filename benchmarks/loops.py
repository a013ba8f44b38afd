"""The same training in three loops: written by hand, kdrun's engine, and its arithmetic alone."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.plain_loop import PlainDataset, train_plain_loop
from benchmarks.workload import BATCH_SIZE, Workload
from kdrun.core.screen import Screen
from kdrun.core.types import TapShapes
from kdrun.dataset.data import Data
from kdrun.dataset.image.feeds import MemoryFeed
from kdrun.engine.interrupt import Interrupt
from kdrun.engine.loop import train
from kdrun.engine.optimizers import learning_rate, make_optimizer
from kdrun.engine.training_spec import Runtime, Trained, TrainingSpec
from kdrun.stage.train import build_loss

STAGES: Mapping[str, Mapping[str, object]] = {
    "teacher": {"name": "ce"},
    "alone": {"name": "ce"},
    "distill": {},  # the loss of the plan
}


class StepDisplay:
    """A display that shows nothing and calls `tick` after each step."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self.screen, self._tick = Screen(), tick

    def step(self, epoch: int, step: int, images: int, sums: Mapping[str, Tensor]) -> None:
        self._tick()

    def begin(self, *phase: object) -> None: ...

    def epoch(
        self, epoch: int, means: Mapping[str, float], validation: Mapping[str, float]
    ) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self) -> None: ...


def train_with_kdrun(
    workload: Workload, tick: Callable[[], None] = lambda: None, stage: str = "distill"
) -> Trained:
    """Train one stage in kdrun's engine; calls `tick` after each step."""
    return train_spec(workload, make_spec(workload, stage), tick)


def train_spec(workload: Workload, spec: TrainingSpec, tick: Callable[[], None]) -> Trained:
    """Train as a training spec says; calls `tick` after each step."""
    plan = workload.plan
    runtime = Runtime(
        seed=plan.config.seed,
        hardware=plan.hardware,
        compile=plan.config.compile,
        checkpoint_seconds=plan.config.checkpoint_seconds,
        display=StepDisplay(tick),  # type: ignore[arg-type]
        interrupt=Interrupt(),
        watch=lambda record: None,
    )
    with TemporaryDirectory() as folder:
        return train(spec, runtime, Path(folder))


def make_spec(workload: Workload, stage: str = "distill") -> TrainingSpec:
    """The training spec of a stage, as kdrun makes it."""
    config, data = workload.plan.config, workload.plan.data
    loss = build_loss(STAGES[stage] or config.loss)
    role = "teacher" if stage == "teacher" else "student"
    student = deepcopy(getattr(workload, role)).requires_grad_(True)
    teacher = workload.freeze_teacher()[0] if loss.uses_teacher else None
    teacher_shapes = TapShapes({}, teacher, {}) if teacher is not None else None
    loss.bind(TapShapes({}, student, {}), teacher_shapes, data.info)
    name = getattr(config, role).name
    return TrainingSpec(stage, name, student, teacher, loss, data, config.recipe)


def train_bare_loop(workload: Workload, tick: Callable[[], None]) -> None:
    """One epoch of kdrun's arithmetic alone: no records, checkpoints, display or seeds."""
    plan, hardware = workload.plan, workload.plan.hardware
    teacher, _ = workload.freeze_teacher()
    student = deepcopy(workload.student).to(hardware.device).to(memory_format=torch.channels_last)
    student.train()
    recipe, name = plan.config.recipe, plan.config.student.name
    optimizer = make_optimizer(recipe, name, student.parameters(), hardware.device)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(recipe, name)
    for batch in plan.data.train.epoch(0, 0, plan.config.seed, BATCH_SIZE, dtype=hardware.dtype):
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            teacher_logits = teacher(batch.inputs).float()
        with hardware.autocast():
            logits = student(batch.inputs)
        logits = logits.float()
        soft = F.kl_div(
            F.log_softmax(logits / 4, dim=1),
            F.log_softmax(teacher_logits / 4, dim=1),
            reduction="batchmean",
            log_target=True,
        )
        loss = 0.1 * F.cross_entropy(logits, batch.targets) + 0.9 * 16 * soft
        loss.backward()
        optimizer.step()
        tick()


def train_by_hand(workload: Workload, tick: Callable[[], None]) -> None:
    """Train the same networks on the same images in the loop written by hand."""
    teacher, student = deepcopy(workload.teacher), deepcopy(workload.student)
    dataset = make_plain_dataset(workload.plan.data)
    train_plain_loop(teacher, student, dataset, workload.device, tick, BATCH_SIZE)


def make_plain_dataset(data: Data) -> PlainDataset:
    """The training split for the loop written by hand."""
    feed = data.train.feed
    if not isinstance(feed, MemoryFeed):
        raise TypeError("the images are not in memory")
    return PlainDataset(
        feed.images.cpu().numpy(),
        data.train.targets.numpy(),
        data.info.inputs.mean,
        data.info.inputs.std,
    )


def use_pytorch_defaults() -> None:
    """Set PyTorch's defaults, but one thread."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = False
