"""Three loops that do the same work: by hand, in kdrun's engine, and its bare arithmetic."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.plain import Pictures, train_plainly
from benchmarks.subject import BATCH_SIZE, Subject
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
    "distill": {},  # the plan's own loss
}


class Ticking:
    """A display that shows nothing and tells of each step."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self.screen, self._tick = Screen(), tick

    def step(self, epoch: int, step: int, images: int, sums: Mapping[str, Tensor]) -> None:
        self._tick()

    def begin(self, stage: str, epochs: int, steps: int, epochs_done: int) -> None: ...

    def epoch(
        self, epoch: int, means: Mapping[str, float], validation: Mapping[str, float]
    ) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self) -> None: ...


def train_with_kdrun(
    subject: Subject, tick: Callable[[], None] = lambda: None, stage: str = "distill"
) -> Trained:
    """Train one stage in kdrun's engine; `tick` after each step."""
    return train_spec(subject, make_spec(subject, stage), tick)


def train_spec(subject: Subject, spec: TrainingSpec, tick: Callable[[], None]) -> Trained:
    """The same of a lesson that is there."""
    plan = subject.plan
    runtime = Runtime(
        seed=plan.config.seed,
        hardware=plan.hardware,
        compile=plan.config.compile,
        checkpoint_seconds=plan.config.checkpoint_seconds,
        display=Ticking(tick),  # type: ignore[arg-type]
        interrupt=Interrupt(),
        watch=lambda record: None,
    )
    with TemporaryDirectory() as folder:
        return train(spec, runtime, Path(folder))


def make_spec(subject: Subject, stage: str = "distill") -> TrainingSpec:
    """The stage's lesson, as kdrun's own stages make it."""
    config, data = subject.plan.config, subject.plan.data
    loss = build_loss(STAGES[stage] or config.loss)
    role = "teacher" if stage == "teacher" else "student"
    student = deepcopy(getattr(subject, role)).requires_grad_(True)
    teacher = subject.freeze_teacher()[0] if loss.uses_teacher else None
    other = TapShapes({}, teacher, {}) if teacher is not None else None
    loss.bind(TapShapes({}, student, {}), other, data.info)
    name = getattr(config, role).name
    return TrainingSpec(stage, name, student, teacher, loss, data, config.recipe)


def train_barely(subject: Subject, tick: Callable[[], None]) -> None:
    """One epoch of kdrun's arithmetic written out: no records, checkpoints, display or seeds."""
    plan, hardware = subject.plan, subject.plan.hardware
    teacher, _ = subject.freeze_teacher()
    student = deepcopy(subject.student).to(hardware.device).to(memory_format=torch.channels_last)
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


def train_by_hand(subject: Subject, tick: Callable[[], None]) -> None:
    """The plain loop on the same images and networks."""
    teacher, student = deepcopy(subject.teacher), deepcopy(subject.student)
    pictures = make_pictures(subject.plan.data)
    train_plainly(teacher, student, pictures, subject.device, tick, BATCH_SIZE)


def make_pictures(data: Data) -> Pictures:
    """The training split as the plain loop reads it."""
    feed = data.train.feed
    if not isinstance(feed, MemoryFeed):
        raise TypeError("the images are not in memory")
    return Pictures(feed.images.cpu().numpy(), data.train.targets.numpy(), data.mean, data.std)


def settle_plainly() -> None:
    """PyTorch's own defaults, but for the number of threads."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = False
