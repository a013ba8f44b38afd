"""The training loop: the only one. A method is a loss that it calls, never a loop of its own."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from kdrun.core.atomic import fault
from kdrun.core.device import name_memory_errors
from kdrun.core.metrics_log import MetricsLog
from kdrun.core.registry import build
from kdrun.core.store import METRICS
from kdrun.core.types import Batch, Phase, Progress
from kdrun.engine.checkpoint import load, save
from kdrun.engine.evaluate import score
from kdrun.engine.optimizers import learning_rate
from kdrun.engine.schedules import SCHEDULES, Schedule, warm_up
from kdrun.engine.training_spec import Best, Position, Runtime, Trained, TrainingSpec
from kdrun.engine.update import Update
from kdrun.engine.weights import copy_weights, read_best, write_best
from kdrun.measure.metrics import Scores


def train(spec: TrainingSpec, runtime: Runtime, folder: Path) -> Trained:
    """Train a network, from the checkpoint in `folder` if there is one.

    Raises:
        Interrupted: a signal came; everything up to the last step is saved.
        NonFinite: a term of the loss is not a number; the last checkpoint is good.
        OutOfMemory: a batch does not fit on the device.
    """
    with name_memory_errors(spec.stage, spec.recipe.batch_size):
        return _Trainer(spec, runtime, folder).run()


class _Trainer:
    def __init__(self, spec: TrainingSpec, runtime: Runtime, folder: Path) -> None:
        self.spec, self.runtime, self.folder = spec, runtime, folder
        self.recipe = spec.recipe
        self.update = Update(spec, runtime)
        self.log = MetricsLog(folder / METRICS, runtime.display.note)
        self.position = Position()
        self.scores: Scores | None = None
        self.notes: list[str] = []
        self.saved_at = time.monotonic()
        self.steps = spec.data.train.steps(self.recipe.batch_size)
        self.lr = learning_rate(self.recipe, spec.model_name)
        self.schedule = _schedule(self.recipe.schedule, self.recipe.warmup_epochs, self.steps)

    def run(self) -> Trained:
        state = load(self.folder, self._tell)
        if state is None:
            self.log.truncate(0)
        try:
            for number, phase in enumerate(self.spec.loss.phases()):
                if state is not None and number < state["position"]["phase"]:
                    continue
                self._begin(number, phase)
                if state is not None:
                    self._restore(state)
                    state = None
                self._phase(phase)
        finally:
            self.runtime.display.end()
            self.update.close()
        return self._trained()

    def _tell(self, sentence: str) -> None:
        self.notes.append(sentence)
        self.runtime.display.screen.warn(sentence)

    def _begin(self, number: int, phase: Phase) -> None:
        before = self.position
        self.position = Position(
            phase=number,
            best=before.best,
            seconds=before.seconds,
            images=before.images,
            told=before.told,
        )
        self.epochs = self.recipe.within(phase.epochs or self.recipe.epochs, self.steps)
        self.update.begin(phase)

    def _phase(self, phase: Phase) -> None:
        name = self.spec.stage if phase.name == "main" else f"{self.spec.stage}/{phase.name}"
        self.runtime.display.begin(name, self.epochs, self.steps, self.position.epoch)
        while self.position.epoch < self.epochs and not self.position.stopped:
            self._epoch(phase)

    def _epoch(self, phase: Phase) -> None:
        self.update.learners.train()
        started = time.monotonic()
        for batch in self._batches():
            self._step(phase, batch)
            if self._pause_is_due():
                started = self._clock(started)
                self._save()
                self.runtime.interrupt.check(self.spec.stage)
        self._clock(started)
        self._end_epoch(phase)

    def _batches(self) -> Iterator[Batch]:
        return self.spec.data.train.epoch(
            epoch=self.position.epoch,
            view=self.spec.view(self.position.epoch),
            seed=self.runtime.seed,
            batch_size=self.recipe.batch_size,
            start_step=self.position.step,
            augment=self.recipe.augment,
            dtype=self.runtime.hardware.dtype,
        )

    def _step(self, phase: Phase, batch: Batch) -> None:
        epoch, step = self.position.epoch, self.position.step
        done, steps = epoch * self.steps + step, self.epochs * self.steps
        rate = self.lr * self.schedule(done / self.steps, self.epochs)
        at = Progress(phase.name, epoch, self.epochs, done, steps)
        self.update.step(batch, at, rate)
        remark = self.update.unbalanced(at)
        if remark:
            self.position.told.append(remark)
            self.runtime.display.screen.warn(f"{self.spec.stage}: {remark}")
        self.position.step += 1
        self.position.images += len(batch.index)
        self.runtime.display.step(epoch, step + 1, len(batch.index), self.update.sums)
        fault("step")

    def _clock(self, started: float) -> float:
        """Count the time since `started` as training, once the device is done; the time now."""
        if self.runtime.hardware.device.type == "cuda":
            torch.cuda.synchronize(self.runtime.hardware.device)
        now = time.monotonic()
        self.position.seconds += now - started
        return now

    def _pause_is_due(self) -> bool:
        waited = time.monotonic() - self.saved_at
        return self.runtime.interrupt.signal is not None or waited > self.runtime.checkpoint_seconds

    def _end_epoch(self, phase: Phase) -> None:
        """Validate, record, decide whether to stop, save: a finished epoch is never lost."""
        self._refuse_non_finite()
        means = self.update.means(self.position.step)
        self.position.epoch += 1
        self.position.step = 0
        self.update.sums = {}
        validation, size = self.spec.data.validation, self.recipe.batch_size * 4
        self.scores = score(self.update.network, validation, self.runtime.hardware, size)
        masked = self.spec.masked
        if phase.name == "main" and (masked is None or masked.complete):
            self._keep_best(self.scores)
            self._decide(self.scores)
        self._record(phase, means, self.scores)
        self._save()
        self.runtime.interrupt.check(self.spec.stage)

    def _refuse_non_finite(self) -> None:
        when = f"by step {self.position.step} of epoch {self.position.epoch + 1}"
        self.update.refuse_non_finite(self.update.sums, when)

    def _keep_best(self, scores: Scores) -> None:
        if scores.accuracy > self.position.best.accuracy:
            self.position.best = Best(self.position.epoch, scores)
            write_best(self.folder, self.update.network)

    def _decide(self, scores: Scores) -> None:
        since = self.position.epoch - self.position.best.epoch
        if self.spec.good_enough is not None and self.spec.good_enough(scores):
            self.position.stopped = f"good enough after epoch {self.position.epoch}"
        elif self.recipe.patience is not None and since >= self.recipe.patience:
            self.position.stopped = f"no better validation accuracy for {since} epochs"
        else:
            self.position.stopped = self.spec.loss.stop_reason()

    def _record(self, phase: Phase, means: dict[str, float], scores: Scores) -> None:
        place = {
            "stage": self.spec.stage,
            "phase": phase.name,
            "epoch": self.position.epoch,
            "step": self.position.epoch * self.steps,
        }
        rate = self.update.optimizer.param_groups[0]["lr"]
        for record in (
            {**place, "split": "train", **means, "lr": rate},
            {**place, "split": "validation", **scores.as_dict()},
        ):
            self.log.append(record)
            self.runtime.watch(record)
        self.runtime.display.epoch(self.position.epoch, means, scores.as_dict())

    def _save(self) -> None:
        self._refuse_non_finite()
        state = {
            **self.update.state(),
            "position": self.position.to_dict(),
            "scores": None if self.scores is None else self.scores.as_dict(),
            "metrics_offset": self.log.sync(),
        }
        save(self.folder, state)
        self.saved_at = time.monotonic()

    def _restore(self, state: dict[str, Any]) -> None:
        self.update.restore(state)
        self.position = Position.from_dict(state["position"])
        self.scores = None if state["scores"] is None else Scores(**state["scores"])
        self.log.truncate(state["metrics_offset"])

    def _trained(self) -> Trained:
        if self.scores is None:
            raise ValueError("nothing was trained: the loss declares no phase")
        position = self.position
        first = sum(
            self.recipe.within(phase.epochs or 0, self.steps)
            for phase in self.spec.loss.phases()[:-1]
        )
        return Trained(
            weights=copy_weights(self.update.network),
            best_weights=read_best(self.folder),
            epochs=position.epoch,
            first_epochs=first,
            steps=(first + position.epoch) * self.steps,
            best=position.best,
            validation=self.scores,
            seconds=position.seconds,
            images_per_second=position.images / max(position.seconds, 1e-9),
            stopped=position.stopped,
            notes=(*self.notes, *position.told),
        )


def _schedule(node: dict[str, Any], warmup_epochs: float, steps: int) -> Schedule:
    return warm_up(build("schedule", SCHEDULES, node), warmup_epochs, steps)
