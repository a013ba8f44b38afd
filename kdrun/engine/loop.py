"""The training loop. All methods use it: each is a loss, none has a loop of its own."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from kdrun.core.atomic import fault_point
from kdrun.core.device import name_memory_errors
from kdrun.core.instructions import instruction_set
from kdrun.core.metrics_log import MetricsLog
from kdrun.core.registry import build
from kdrun.core.store import METRICS
from kdrun.core.types import MAIN, Batch, Phase, Progress
from kdrun.engine.checkpoint import explain_other_state, load, save
from kdrun.engine.display import Scored
from kdrun.engine.evaluate import score
from kdrun.engine.optimizers import learning_rate
from kdrun.engine.schedules import SCHEDULES, Schedule, warm_up
from kdrun.engine.training_spec import (
    Best,
    Position,
    Runtime,
    Trained,
    TrainingSpec,
    checked_scores,
)
from kdrun.engine.update import Update
from kdrun.engine.weights import copy_weights, read_best, write_best
from kdrun.measure.metrics import Scores

_CONSTANT = {"name": "constant"}
_MORE_MEMORY = (
    "  if other programs take the memory, end these and go on; otherwise start a new run",
    "  with recipe.accumulate=2 (the same batch in two parts) or a smaller recipe.batch_size",
)


def train(spec: TrainingSpec, runtime: Runtime, folder: Path) -> Trained:
    """Train a network, from the checkpoint in `folder` if there is one.

    Raises:
        Interrupted: a signal came; everything up to the last step is saved.
        NonFinite: a term of the loss, a gradient or a weight is not finite; the last checkpoint
            was saved before that.
        OutOfMemory: a batch does not fit on the device.
    """
    sentence = f"out of memory in stage {spec.stage!r} at batches of {spec.recipe.batch_size}."
    with name_memory_errors(sentence, *_MORE_MEMORY):
        return _Trainer(spec, runtime, folder).run()


class _Trainer:
    """Trains the phases of one stage, epoch by epoch.

    One step, in order:

    1. `Split.epoch` gives the next batch, in the epoch's view of the images (dataset/).
    2. `Update.step` seeds the step's random numbers, lets the loss prepare the batch, mixes it
       (mixup, cutmix, label smoothing) and splits it into micro-batches.
    3. For each micro-batch: the teacher's output, the student's output, the terms of the loss
       (loss/), their sum; `GradientStep` adds its gradient.
    4. `GradientStep.measure` computes the gradient's norm; NaN and infinity raise an error (on a
       GPU only before a save); `clip` shortens the gradient; `take` lets the optimizer change the
       weights.
    5. Pruned weights are set to 0 again, and the average of the weights is updated.
    6. `Position` counts the step, the display shows it, and if `checkpoint_seconds` have passed,
       or a signal came, everything is saved.

    At the end of an epoch: check for NaN and infinity, validate, keep the best weights, decide
    whether to stop, write two lines to the metrics, save.
    """

    def __init__(self, spec: TrainingSpec, runtime: Runtime, folder: Path) -> None:
        self.spec, self.runtime, self.folder = spec, runtime, folder
        self.recipe, self.display = spec.recipe, runtime.display
        self.phases = spec.loss.phases()
        self.update = Update(spec, runtime, self.phases[0])
        self.log = MetricsLog(folder / METRICS, self.display.note)
        self.task, self.metric = spec.data.task, spec.data.task.leading()
        self.position = Position()
        self.scores: Scores | None = None
        self.notes: list[str] = []
        self.instructions = (instruction_set(),)
        self.saved_at = time.monotonic()
        self.steps = spec.data.train.steps(self.recipe.batch_size)
        self.lr = learning_rate(self.recipe, spec.model_name)
        self.schedule = self._schedule()

    @property
    def phase(self) -> Phase:
        return self.phases[self.position.phase]

    @property
    def epochs(self) -> int:
        """The number of epochs of the current phase."""
        return self._epochs_of(self.phase)

    def run(self) -> Trained:
        state = self._load()
        first_phase = 0 if state is None else self._position_of(state).phase
        if state is None:
            self.log.truncate(0)
        try:
            for number in range(first_phase, len(self.phases)):
                self._begin(number)
                if state is not None:
                    self._restore(state)
                    state = None
                self._train_phase()
        finally:
            self.display.end()
            self.update.close()
        return self._trained()

    def _load(self) -> dict[str, Any] | None:
        """Return the state of the checkpoint; None if there is none that can be continued."""
        state = load(self.folder, self._warn, self.spec.training)
        if state is None and self.log.offset and not self.notes:
            self._warn(
                f"{self.spec.stage} begins anew: measurements of it are there, but no checkpoint"
            )
        # Checkpoints of kdrun 0.1.0 have no revisions: all were the first.
        if state is None or state.get("revisions", {}) == self.spec.revisions:
            return state
        changed = ", ".join(self.spec.revisions) or "what it trained with"
        self._warn(
            f"{self.spec.stage} begins anew: its checkpoint is of another version of kdrun, which"
            f" computed other values ({changed})"
        )
        return None

    def _warn(self, sentence: str) -> None:
        self.notes.append(sentence)
        self.display.screen.warn(sentence)

    def _epochs_of(self, phase: Phase) -> int:
        return self.recipe.within(phase.epochs or self.recipe.epochs, self.steps)

    def _schedule(self) -> Schedule:
        """Return the recipe's schedule for the main phase, a constant rate for those before it."""
        node = self.recipe.schedule if self.phase.name == MAIN.name else _CONSTANT
        schedule = build("schedule", SCHEDULES, node)
        return warm_up(schedule, self.recipe.warmup_epochs, self.steps)

    def _begin(self, number: int) -> None:
        self.position = self.position.begin(number)
        self.schedule = self._schedule()
        if number:
            self.update.begin(self.phase)

    def _train_phase(self) -> None:
        stage, phase = self.spec.stage, self.phase.name
        title = stage if phase == MAIN.name else f"{stage}/{phase}"
        sample = self.spec.data.info.inputs.sample
        scored = Scored(self.task, sample)
        self.display.begin(title, self.epochs, self.steps, self.position.epoch, scored)
        while self.position.epoch < self.epochs and not self.position.stopped:
            self._train_epoch()

    def _train_epoch(self) -> None:
        self.update.learners.train()
        started = time.monotonic()
        for batch in self._batches():
            self._step(batch)
            if self._pause_is_due():
                started = self._count_time(started)
                self._save()
                self.runtime.interrupt.check(self.spec.stage)
        self._count_time(started)
        self._end_epoch()

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

    def _step(self, batch: Batch) -> None:
        epoch, step = self.position.epoch, self.position.step
        steps_done, total_steps = epoch * self.steps + step, self.epochs * self.steps
        rate = self.lr * self.schedule(steps_done / self.steps, self.epochs)
        progress = Progress(self.phase.name, epoch, self.epochs, steps_done, total_steps)
        self.update.step(batch, progress, rate)
        warning = self.update.imbalance(progress)
        if warning:
            self.position.warnings.append(warning)
            self.display.screen.warn(f"{self.spec.stage}: {warning}")
        self.position.step += 1
        self.position.images += len(batch.index)
        self.display.step(epoch, step + 1, len(batch.index), self.update.sums)
        fault_point("step")

    def _count_time(self, started: float) -> float:
        """Wait for the device, add the time since `started` to the training time, return now."""
        if self.runtime.hardware.device.type == "cuda":
            torch.cuda.synchronize(self.runtime.hardware.device)
        now = time.monotonic()
        self.position.seconds += now - started
        return now

    def _pause_is_due(self) -> bool:
        since_save = time.monotonic() - self.saved_at
        return (
            self.runtime.interrupt.signal is not None
            or since_save > self.runtime.checkpoint_seconds
        )

    def _end_epoch(self) -> None:
        """Validate, record, decide whether to stop, and save."""
        self._refuse_non_finite()
        means, grad_norm = self.update.means(self.position.step), self.update.gradients.norm.mean()
        self.update.reset_means()
        self.position.epoch += 1
        self.position.step = 0
        validation, batch_size = self.spec.data.validation, self.recipe.batch_size * 4
        scores = score(self.update.network, validation, self.runtime.hardware, batch_size)
        self.scores = scores
        zeros = self.spec.frozen_zeros
        if self.phase.name == MAIN.name and (zeros is None or zeros.complete):
            self._keep_best(scores)
            self._decide_to_stop(scores)
        rates = {"lr": self.update.gradients.rate, "grad_norm": grad_norm}
        self._record({"split": "train", **means, **rates})
        self._record({"split": "validation", **scores})
        self.display.epoch(self.position.epoch, means, scores)
        self._save()
        self.runtime.interrupt.check(self.spec.stage)

    def _refuse_non_finite(self) -> None:
        position = self.position
        if position.step:
            step = position.epoch * self.steps + position.step - 1
            self.update.refuse_non_finite(step, position.epoch)

    def _keep_best(self, scores: Scores) -> None:
        if self.position.best.is_beaten_by(scores, self.metric):
            self.position.best = Best(self.position.epoch, scores)
            write_best(self.folder, self.update.network)

    def _decide_to_stop(self, scores: Scores) -> None:
        epochs_since_best = self.position.epoch - self.position.best.epoch
        if self.spec.good_enough is not None and self.spec.good_enough(scores):
            self.position.stopped = f"good enough after epoch {self.position.epoch}"
        elif self.recipe.patience is not None and epochs_since_best >= self.recipe.patience:
            self.position.stopped = (
                f"no better validation {self.metric.name} for {epochs_since_best} epochs"
            )
        else:
            self.position.stopped = self.spec.loss.stop_reason()

    def _record(self, measured: Mapping[str, Any]) -> None:
        """Write measurements to the metrics, with stage, phase, epoch and step."""
        record = {
            "stage": self.spec.stage,
            "phase": self.phase.name,
            "epoch": self.position.epoch,
            "step": self.position.epoch * self.steps,
            **measured,
        }
        self.log.append(record)
        self.runtime.watch(record)

    def _save(self) -> None:
        self._refuse_non_finite()
        state = {
            **self.update.state(),
            "position": self.position.to_dict(),
            "scores": self.scores,
            "training": self.spec.training,
            "instructions": list(self.instructions),
            "revisions": dict(self.spec.revisions),
            "metrics_offset": self.log.sync(),
        }
        save(self.folder, state)
        self.saved_at = time.monotonic()

    def _position_of(self, state: Mapping[str, Any]) -> Position:
        """Return the position in the state of a checkpoint.

        Raises:
            DamagedFile: the state is not one of this training.
        """
        with explain_other_state(self.folder):
            position = Position.from_dict(state["position"], self.metric)
            _ = self.phases[position.phase]
        return position

    def _restore(self, state: dict[str, Any]) -> None:
        self.position = self._position_of(state)
        with explain_other_state(self.folder):
            self.update.restore(state)
            self.scores = checked_scores(state["scores"], self.metric)
            # An older kdrun recorded no instructions.
            before = state.get("instructions", ())
            self.instructions = tuple(dict.fromkeys([*before, *self.instructions]))
            self.log.truncate(state["metrics_offset"])

    def _trained(self) -> Trained:
        assert self.scores is not None  # each phase has an epoch at least
        position = self.position
        first_epochs = sum(self._epochs_of(phase) for phase in self.phases[:-1])
        return Trained(
            weights=copy_weights(self.update.network),
            best_weights=read_best(self.folder),
            epochs=position.epoch,
            first_epochs=first_epochs,
            steps=(first_epochs + position.epoch) * self.steps,
            best=position.best,
            validation=self.scores,
            seconds=position.seconds,
            images_per_second=position.images / max(position.seconds, 1e-9),
            stopped=position.stopped,
            instructions=self.instructions,
            notes=(*self.notes, *position.warnings),
        )
