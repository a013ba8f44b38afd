"""One update of the weights from one batch: teacher, student, loss, gradient step, averages."""

from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from kdrun.core.errors import NonFinite
from kdrun.core.memory_format import contiguous_reason, keep_contiguous, move_network
from kdrun.core.seeds import seed_of
from kdrun.core.taps import TappedNetwork
from kdrun.core.types import MAIN, Batch, Output, Phase, Progress
from kdrun.engine.gradient_step import GradientStep
from kdrun.engine.learners import Learners
from kdrun.engine.micro_batches import micro_batches
from kdrun.engine.mixing import mix_batch
from kdrun.engine.training_spec import Runtime, TrainingSpec
from kdrun.loss.pseudo_labels import with_pseudo_labels

_MIN_RATIO = 0.01  # usual ratio of a loss's other terms to its label term; at most 1 / _MIN_RATIO
_COMMON_TERMS = ("ce", "loss")


class Update:
    """Holds everything that learns in a stage, and updates it step by step.

    Args:
        spec: the networks, the loss and the recipe.
        runtime: the device, the precision and the seed.
        phase: the phase that the stage starts with.

    Attributes:
        sums: the terms of the loss, their sum `loss` and the student's running scores, each summed
            over the steps of the epoch. Those of samples without labels are of their agreement with
            the teacher's decisions.
    """

    def __init__(self, spec: TrainingSpec, runtime: Runtime, phase: Phase) -> None:
        self.spec, self.recipe, self.task = spec, spec.recipe, spec.data.task
        self.seed, self.hardware = runtime.seed, runtime.hardware
        self.student = move_network(spec.student, self.hardware.device)
        self.loss = spec.loss.to(self.hardware.device)
        self.frozen_zeros = spec.frozen_zeros
        if self.frozen_zeros is not None:
            self.frozen_zeros.to(self.hardware.device)
        self.learners = Learners(self.student, self.loss, spec.frozen)
        self._run_student = TappedNetwork(self.student, spec.student_paths, runtime.compile)
        self._run_teacher = (
            TappedNetwork(spec.teacher, spec.teacher_paths, runtime.compile)
            if spec.teacher is not None
            else None
        )
        self._average = self._make_average()
        self.gradients = self._make_gradient_step(phase)
        self.sums: dict[str, Tensor] = {}
        self._balance_checked = False

    @property
    def network(self) -> nn.Module:
        """The network that is validated and saved: the student, or the average of its weights."""
        return self.student if self._average is None else self._average.module

    @property
    def reads_each_step(self) -> bool:
        """Whether values are checked at each step; on a GPU this would stall the device."""
        return self.hardware.device.type == "cpu"

    def begin(self, phase: Phase) -> None:
        """Choose the parameters that learn in a phase, and make a new optimizer for them."""
        self.gradients = self._make_gradient_step(phase)
        self.sums = {}

    def step(self, batch: Batch, progress: Progress, rate: float) -> None:
        """Update the weights once, from the recipe's number of micro-batches.

        Raises:
            NonFinite: on the CPU, before the weights change: a term or the gradient is not finite.
        """
        counters = (self.seed, self.spec.stage, progress.phase, progress.step)
        self.hardware.seed(seed_of(*counters))
        batch = self.loss.prepare(batch, progress)
        batch = mix_batch(batch, self.recipe, self.spec.data.info.num_classes, *counters)
        self.gradients.clear()
        for micro_batch, share in micro_batches(batch, self.recipe.accumulate):
            self.gradients.add(self._forward(micro_batch, share, progress))
        norm = self.gradients.measure()
        if self.reads_each_step:
            self._raise_if_fault(
                self.gradients.norm.fault(), _when("at", progress.step, progress.epoch)
            )
        self.gradients.clip(norm)
        if self.frozen_zeros is not None:
            self.frozen_zeros.before_step(self.student, progress)
        self.gradients.take(rate)
        self._apply_zeros_and_average(progress)

    def reset_means(self) -> None:
        """Start the means of a new epoch."""
        self.sums = {}
        self.gradients.norm.reset()

    def means(self, steps: int) -> dict[str, float]:
        """Return the mean of each term, of the loss and of the scores over the epoch's steps."""
        return {name: (value / steps).item() for name, value in self.sums.items()}

    def refuse_non_finite(self, step: int, epoch: int) -> None:
        """Check all that was computed up to a step of the phase, before it is saved.

        On a GPU a step is not checked when it is taken, so the weights may have changed since.

        Raises:
            NonFinite: a term of the loss, a gradient or a weight is not finite.
        """
        faults = (_terms_fault(self.sums), self.gradients.norm.fault())
        fault = " and ".join(filter(None, faults)) or self.gradients.weights_fault()
        self._raise_if_fault(fault, _when("by", step, epoch))

    def state(self) -> dict[str, Any]:
        """Return all that a resumed step depends on."""
        return {
            "student": self.student.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "loss": self.loss.state_dict(),
            "masked": None if self.frozen_zeros is None else self.frozen_zeros.state(),
            **self.gradients.state(),
            "sums": self.sums,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a result of `state` in the same phase."""
        self.student.load_state_dict(state["student"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self.loss.load_state_dict(state["loss"])
        if self.frozen_zeros is not None:
            self.frozen_zeros.restore(state["masked"])
        self.gradients.restore(state)
        device = self.hardware.device
        self.sums = {name: value.to(device) for name, value in state["sums"].items()}
        self._balance_checked = True

    def close(self) -> None:
        """Remove the hooks from both networks."""
        self._run_student.close()
        if self._run_teacher is not None:
            self._run_teacher.close()

    def imbalance(self, progress: Progress) -> str:
        """Return a warning, once, if the loss's other terms are far from its label term.

        The first step in which these terms have a weight is checked, as if they had their full
        weight. An empty string means that there is no warning.
        """
        share = self.loss.ramp(progress)
        if self._balance_checked or progress.phase != MAIN.name or not share:
            return ""
        self._balance_checked = True
        labels = self.sums.get("ce")
        common = {*_COMMON_TERMS, *self.task.scores}
        terms = [value for name, value in self.sums.items() if name not in common]
        if labels is None or not terms or not labels.item():
            return ""
        total = torch.stack([term.float() for term in terms]).sum().abs().item()
        ratio = total / share / labels.item()
        if _MIN_RATIO <= ratio <= 1 / _MIN_RATIO:
            return ""
        return (
            f"at the first step the loss's own terms are {ratio:.2g} times its label term, where"
            f" {_MIN_RATIO:g} to {1 / _MIN_RATIO:g} is usual; look at the weights of the loss"
        )

    def _make_gradient_step(self, phase: Phase) -> GradientStep:
        parameters = self.learners.choose(phase.trains)
        return GradientStep(parameters, self.recipe, self.spec.model_name, self.hardware)

    def _make_average(self) -> AveragedModel | None:
        if not self.recipe.ema:
            return None
        update_average = get_ema_multi_avg_fn(self.recipe.ema)
        average = AveragedModel(self.student, multi_avg_fn=update_average, use_buffers=True)
        # A copy of a graph module has none of its hooks.
        keep_contiguous(average.module, contiguous_reason(self.student))
        return average

    def _forward(self, batch: Batch, share: float, progress: Progress) -> Tensor:
        """Compute the loss of a micro-batch and add its values to `sums`."""
        with self.hardware.autocast():
            # The teacher runs first, so that its memory is free again for the student's graph. In
            # the other order a step took an eighth longer on a CPU.
            teacher = self._teacher_output(batch, progress)
            batch = with_pseudo_labels(batch, self.loss, teacher)
            student = self._run_student(batch.inputs)
            terms = self.loss(student, teacher, batch, progress)
        total = torch.stack([term.float() for term in terms.values()]).sum() * share
        values = {name: term.detach() for name, term in terms.items()}
        if self.reads_each_step:
            self._raise_if_fault(_terms_fault(values), _when("at", progress.step, progress.epoch))
        scores = self.task.running_scores(self.task.positions(student.logits, batch))
        self._add({**values, **scores}, share)
        self._add({"loss": total.detach()}, 1.0)
        return total

    def _teacher_output(self, batch: Batch, progress: Progress) -> Output | None:
        if self.spec.outputs is not None:
            return self.spec.outputs.look_up(self.spec.view(progress.epoch), batch.index)
        if self._run_teacher is None:
            return None
        with torch.no_grad(), torch.autocast(self.hardware.device.type, enabled=False):
            return self._run_teacher(batch.inputs)

    def _apply_zeros_and_average(self, progress: Progress) -> None:
        """Set frozen zeros again, and update the average of the weights."""
        if self.frozen_zeros is not None:
            self.frozen_zeros.after_step(self.student, progress)
        if self._average is not None:
            self._average.update_parameters(self.student)
            if self.frozen_zeros is not None:
                self.frozen_zeros.apply(self._average.module)

    def _raise_if_fault(self, fault: str, when: str) -> None:
        if fault:
            raise NonFinite(
                f"{fault} in stage {self.spec.stage!r}, {when}; training stopped.",
                "  start a new run with a smaller recipe.lr, recipe.clip_norm=1, or precision=fp32",
            )

    def _add(self, values: dict[str, Tensor], share: float) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0) + value * share


def _terms_fault(terms: dict[str, Tensor]) -> str:
    """Name a term that is not finite; return "" if there is none."""
    for name, value in terms.items():
        if not isfinite(value.item()):
            return f"the loss term {name!r} is {value.item()}"
    return ""


def _when(preposition: str, step: int, epoch: int) -> str:
    """Return a text with step and epoch, which count from 0; `step` counts over all epochs."""
    return f"{preposition} step {step + 1} (epoch {epoch + 1})"
