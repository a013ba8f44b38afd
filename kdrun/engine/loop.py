"""The training loop: the only one. A method is a loss that it calls, never a loop of its own."""

import time
from collections.abc import Iterator
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from kdrun.core.atomic import fault
from kdrun.core.device import name_memory_errors, place_network
from kdrun.core.errors import NonFinite
from kdrun.core.folder import METRICS
from kdrun.core.metrics_log import MetricsLog
from kdrun.core.registry import resolve
from kdrun.core.seeds import seed_of
from kdrun.core.taps import Tapped
from kdrun.core.types import Batch, Output, Phase, Progress
from kdrun.engine.checkpoint import load, save
from kdrun.engine.evaluate import score
from kdrun.engine.learners import Learners
from kdrun.engine.lesson import Best, Lesson, Position, Session, Trained
from kdrun.engine.mixing import mix_batch
from kdrun.engine.optimizers import learning_rate, make_optimizer
from kdrun.engine.schedules import SCHEDULES, Schedule, warm_up
from kdrun.engine.weights import copy_weights, read_best, write_best
from kdrun.measure.metrics import Scores


def train(lesson: Lesson, session: Session, folder: Path) -> Trained:
    """Train a network, from the checkpoint in `folder` if there is one.

    Raises:
        Interrupted: a signal came; everything up to the last step is saved.
        NonFinite: a term of the loss is not a number; the last checkpoint is good.
        OutOfMemory: a batch does not fit on the device.
    """
    with name_memory_errors(lesson.stage, lesson.recipe.batch_size):
        return _Trainer(lesson, session, folder).run()


class _Trainer:
    def __init__(self, lesson: Lesson, session: Session, folder: Path) -> None:
        self.lesson, self.session, self.folder = lesson, session, folder
        self.recipe, self.hardware = lesson.recipe, session.hardware
        device = self.hardware.device
        self.student = place_network(lesson.student, device)
        self.loss = lesson.loss.to(device)
        self.learners = Learners(self.student, self.loss, lesson.frozen)
        self.ask_student = Tapped(self.student, lesson.student_places, session.compile)
        self.ask_teacher = (
            Tapped(lesson.teacher, lesson.teacher_places, session.compile)
            if lesson.teacher is not None
            else None
        )
        self.average = (
            AveragedModel(
                self.student, multi_avg_fn=get_ema_multi_avg_fn(self.recipe.ema), use_buffers=True
            )
            if self.recipe.ema
            else None
        )
        self.log = MetricsLog(folder / METRICS, session.display.note)
        self.position = Position()
        self.sums: dict[str, Tensor] = {}
        self.scores: Scores | None = None
        self.notes: list[str] = []
        self.saved_at = time.monotonic()
        self.steps = lesson.data.train.steps(self.recipe.batch_size)

    def run(self) -> Trained:
        state = load(self.folder, self._tell)
        if state is None:
            self.log.truncate(0)
        phases = self.loss.phases()
        try:
            for number, phase in enumerate(phases):
                if state is not None and number < state["position"]["phase"]:
                    continue
                self._begin(number, phase)
                if state is not None:
                    self._restore(state)
                    state = None
                self._phase(phase)
        finally:
            self.session.display.end()
            self.ask_student.close()
            if self.ask_teacher is not None:
                self.ask_teacher.close()
        return self._trained()

    def _tell(self, sentence: str) -> None:
        self.notes.append(sentence)
        self.session.display.screen.warn(sentence)

    def _begin(self, number: int, phase: Phase) -> None:
        """Set up what belongs to one phase: what learns, its optimizer and schedule."""
        best, seconds = self.position.best, self.position.seconds
        self.position = Position(
            phase=number, best=best, seconds=seconds, images=self.position.images
        )
        self.epochs = phase.epochs or self.recipe.epochs_of(self.steps)
        self.parameters = self.learners.choose(phase.trains)
        self.optimizer = make_optimizer(
            self.recipe, self.lesson.model_name, self.parameters, self.hardware.device
        )
        self.lr = learning_rate(self.recipe, self.lesson.model_name)
        self.schedule = self._schedule()
        self.scaler = torch.amp.GradScaler(
            self.hardware.device.type, enabled=self.hardware.precision == "fp16"
        )
        self.sums = {}

    def _schedule(self) -> Schedule:
        settings = {key: value for key, value in self.recipe.schedule.items() if key != "name"}
        build = resolve("schedule", SCHEDULES, self.recipe.schedule["name"])
        return warm_up(build(**settings), self.recipe.warmup_epochs, self.steps)

    def _phase(self, phase: Phase) -> None:
        name = self.lesson.stage if phase.name == "main" else f"{self.lesson.stage}/{phase.name}"
        self.session.display.begin(name, self.epochs, self.steps, self.position.epoch)
        while self.position.epoch < self.epochs and not self.position.stopped:
            self._epoch(phase)

    def _epoch(self, phase: Phase) -> None:
        self.learners.train()
        epoch = self.position.epoch
        started = time.monotonic()
        for step, batch in enumerate(self._batches(epoch), start=self.position.step):
            self._set_rate(epoch + step / self.steps)
            at = Progress(
                phase.name, epoch, self.epochs, epoch * self.steps + step, self.epochs * self.steps
            )
            self._step(batch, at)
            self.position.step = step + 1
            self.position.images += len(batch.index)
            self.session.display.step(epoch, step + 1, len(batch.index), self.sums)
            fault("step")
            if self._pause_is_due():
                self.position.seconds += time.monotonic() - started
                self._pause()
                started = time.monotonic()
        self._synchronize()
        self.position.seconds += time.monotonic() - started
        self._end_epoch(phase)

    def _batches(self, epoch: int) -> Iterator[Batch]:
        return self.lesson.data.train.epoch(
            epoch=epoch,
            view=epoch,
            seed=self.session.seed,
            batch_size=self.recipe.batch_size,
            start_step=self.position.step,
            augment=self.recipe.augment,
            dtype=self.hardware.dtype,
        )

    def _step(self, batch: Batch, at: Progress) -> None:
        """One update of the weights from one batch, computed in the recipe's number of parts."""
        counters = (self.session.seed, self.lesson.stage, at.phase, at.step)
        self.hardware.seed(seed_of(*counters))
        batch = mix_batch(batch, self.recipe, self.lesson.data.info.num_classes, *counters)
        self.optimizer.zero_grad(set_to_none=True)
        for part, share in _parts(batch, self.recipe.accumulate):
            total = self._forward(part, share, at)
            self.scaler.scale(total).backward()
        if self.recipe.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.student)

    def _forward(self, batch: Batch, share: float, at: Progress) -> Tensor:
        with self.hardware.autocast():
            answer = self.ask_student(batch.inputs)
            teacher = self._teacher_output(batch)
            terms = self.loss(answer, teacher, batch, at)
        total = torch.stack([term.float() for term in terms.values()]).sum() * share
        if self.hardware.device.type == "cpu":
            self._refuse_non_finite({name: term.detach() for name, term in terms.items()}, at.step)
        self._add({name: term.detach() * share for name, term in terms.items()})
        hits = (answer.logits.detach().argmax(1) == batch.targets).float().mean()
        self._add({"accuracy": hits * share, "loss": total.detach()})
        return total

    def _teacher_output(self, batch: Batch) -> Output | None:
        if self.ask_teacher is None:
            return None
        with torch.no_grad(), torch.autocast(self.hardware.device.type, enabled=False):
            return self.ask_teacher(batch.inputs)

    def _add(self, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value.clone()

    def _set_rate(self, done: float) -> None:
        rate = self.lr * self.schedule(done, self.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _refuse_non_finite(self, terms: dict[str, Tensor], step: int) -> None:
        for name, value in terms.items():
            if not isfinite(value.item()):
                raise NonFinite(
                    f"the loss term {name!r} is {value.item()} in stage {self.lesson.stage!r}, at"
                    f" step {step} (epoch {self.position.epoch + 1}); training stopped before the"
                    " update.",
                    "  try a smaller recipe.lr, recipe.clip_norm=1, or precision=fp32",
                )

    def _end_epoch(self, phase: Phase) -> None:
        """Validate, record, decide whether to stop, save: a finished epoch is never lost."""
        # On a GPU the sums are looked at here alone: reading each step's would stall the device.
        self._refuse_non_finite(self.sums, (self.position.epoch + 1) * self.steps - 1)
        means = {
            name: (value / max(1, self.position.step)).item() for name, value in self.sums.items()
        }
        self.position.epoch += 1
        self.position.step = 0
        self.sums = {}
        self.scores = score(
            self._network(), self.lesson.data.validation, self.hardware, self.recipe.batch_size * 4
        )
        if phase.name == "main":
            self._keep_best()
            self._decide()
        self._record(phase, means)
        self._save()
        self.session.interrupt.check(self.lesson.stage)

    def _network(self) -> nn.Module:
        return self.student if self.average is None else self.average.module

    def _keep_best(self) -> None:
        assert self.scores is not None
        if self.scores.accuracy > self.position.best.accuracy:
            self.position.best = Best(self.position.epoch, self.scores.accuracy)
            write_best(self.folder, self._network())

    def _decide(self) -> None:
        assert self.scores is not None
        since = self.position.epoch - self.position.best.epoch
        if self.lesson.good_enough is not None and self.lesson.good_enough(self.scores):
            self.position.stopped = f"good enough after epoch {self.position.epoch}"
        elif self.recipe.patience is not None and since >= self.recipe.patience:
            self.position.stopped = f"no better validation accuracy for {since} epochs"

    def _record(self, phase: Phase, means: dict[str, float]) -> None:
        assert self.scores is not None
        place = {
            "stage": self.lesson.stage,
            "phase": phase.name,
            "epoch": self.position.epoch,
            "step": self.position.epoch * self.steps,
        }
        rate = self.optimizer.param_groups[0]["lr"]
        for record in (
            {**place, "split": "train", **means, "lr": rate},
            {**place, "split": "validation", **self.scores.as_dict()},
        ):
            self.log.append(record)
            self.session.watch(record)
        self.session.display.epoch(self.position.epoch, means, self.scores.as_dict())

    def _pause_is_due(self) -> bool:
        waited = time.monotonic() - self.saved_at
        return self.session.interrupt.signal is not None or waited > self.session.checkpoint_seconds

    def _pause(self) -> None:
        """Save within an epoch; end here if a signal asked for it."""
        self._synchronize()
        self._refuse_non_finite(self.sums, self.position.step)
        self._save()
        self.session.interrupt.check(self.lesson.stage)

    def _synchronize(self) -> None:
        if self.hardware.device.type == "cuda":
            torch.cuda.synchronize(self.hardware.device)

    def _save(self) -> None:
        state = {
            "position": self.position.to_dict(),
            "student": self.student.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "loss": self.loss.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "sums": self.sums,
            "scores": None if self.scores is None else self.scores.as_dict(),
            "metrics_offset": self.log.sync(),
        }
        save(self.folder, state)
        self.saved_at = time.monotonic()

    def _restore(self, state: dict) -> None:
        self.position = Position.from_dict(state["position"])
        self.student.load_state_dict(state["student"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.loss.load_state_dict(state["loss"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        device = self.hardware.device
        self.sums = {name: value.to(device) for name, value in state["sums"].items()}
        self.scores = None if state["scores"] is None else Scores(**state["scores"])
        self.log.truncate(state["metrics_offset"])

    def _trained(self) -> Trained:
        assert self.scores is not None
        position = self.position
        return Trained(
            weights=copy_weights(self._network()),
            best_weights=read_best(self.folder),
            epochs=position.epoch,
            best=position.best,
            validation=self.scores,
            seconds=position.seconds,
            images_per_second=position.images / max(position.seconds, 1e-9),
            stopped=position.stopped,
            notes=tuple(self.notes),
        )


def _parts(batch: Batch, count: int) -> Iterator[tuple[Batch, float]]:
    """The batch in `count` parts, each with its share of the samples."""
    if count == 1:
        yield batch, 1.0
        return
    size = len(batch.index)
    for rows in torch.arange(size, device=batch.index.device).tensor_split(count):
        soft = None if batch.soft_targets is None else batch.soft_targets[rows]
        inputs = (
            batch.inputs[rows]
            if isinstance(batch.inputs, Tensor)
            else {name: value[rows] for name, value in batch.inputs.items()}
        )
        part = Batch(inputs, batch.targets[rows], batch.index[rows], batch.view[rows], soft)
        yield part, len(rows) / size
