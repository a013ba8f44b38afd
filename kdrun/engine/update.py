"""One update of the weights from one batch: student, teacher, loss, optimizer, averages."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from kdrun.core.device import place_network
from kdrun.core.errors import NonFinite
from kdrun.core.seeds import seed_of
from kdrun.core.taps import TappedNetwork
from kdrun.core.types import MAIN, Batch, Output, Phase, Progress
from kdrun.engine.learners import Learners
from kdrun.engine.mixing import mix_batch
from kdrun.engine.optimizers import make_optimizer
from kdrun.engine.training_spec import Runtime, TrainingSpec
from kdrun.loss.pseudo_labels import with_pseudo_labels

_LEAST = 0.01  # of the label term, for a term to have a say
_NOT_OWN = ("ce", "accuracy", "loss")


class Update:
    """What learns in a stage, and the arithmetic of a step.

    Attributes:
        sums: each term of the loss, the loss and the accuracy, summed over the epoch's steps;
            where labels are missing, the accuracy is against the teacher's decisions.
    """

    def __init__(self, spec: TrainingSpec, runtime: Runtime) -> None:
        self.spec, self.recipe = spec, spec.recipe
        self.seed, self.hardware = runtime.seed, runtime.hardware
        self.student = place_network(spec.student, self.hardware.device)
        self.loss = spec.loss.to(self.hardware.device)
        self.masked = spec.masked
        if self.masked is not None:
            self.masked.to(self.hardware.device)
        self.learners = Learners(self.student, self.loss, spec.frozen)
        self._ask_student = TappedNetwork(self.student, spec.student_places, runtime.compile)
        self._ask_teacher = (
            TappedNetwork(spec.teacher, spec.teacher_places, runtime.compile)
            if spec.teacher is not None
            else None
        )
        self._average = self._averaged()
        self.sums: dict[str, Tensor] = {}
        self._weighed = False

    @property
    def network(self) -> nn.Module:
        """Whose answers count: the student, or its average."""
        return self.student if self._average is None else self._average.module

    def begin(self, phase: Phase) -> None:
        """Set up what belongs to a phase: what learns, its optimizer and gradient scaler."""
        self.parameters = self.learners.choose(phase.trains)
        self.optimizer: Optimizer = make_optimizer(
            self.recipe, self.spec.model_name, self.parameters, self.hardware.device
        )
        self.scaler = torch.amp.GradScaler(
            self.hardware.device.type, enabled=self.hardware.precision == "fp16"
        )
        self.sums = {}

    def step(self, batch: Batch, progress: Progress, rate: float) -> None:
        """One update, computed in the recipe's number of parts.

        Raises:
            NonFinite: a term is not a number; on the CPU before the weights change.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        counters = (self.seed, self.spec.stage, progress.phase, progress.step)
        self.hardware.seed(seed_of(*counters))
        batch = self.loss.prepare(batch, progress)
        batch = mix_batch(batch, self.recipe, self.spec.data.info.num_classes, *counters)
        self.optimizer.zero_grad(set_to_none=True)
        for part, share in _parts(batch, self.recipe.accumulate):
            total = self._forward(part, share, progress)
            self.scaler.scale(total).backward()
        if self.recipe.clip_norm is not None or self.masked is not None:
            self.scaler.unscale_(self.optimizer)
        if self.recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip_norm)
        if self.masked is not None:
            self.masked.watch(self.student, progress)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.masked is not None:
            self.masked.update(self.student, progress)
        if self._average is not None:
            self._average.update_parameters(self.student)
            if self.masked is not None:
                self.masked.apply(self._average.module)

    def means(self, steps: int) -> dict[str, float]:
        """The sums over so many steps as means."""
        return {name: (value / steps).item() for name, value in self.sums.items()}

    def refuse_non_finite(self, terms: dict[str, Tensor], when: str) -> None:
        """Look at values that may still be on their way.

        Raises:
            NonFinite: one of them is not a number.
        """
        for name, value in terms.items():
            if not isfinite(value.item()):
                raise NonFinite(
                    f"the loss term {name!r} is {value.item()} in stage {self.spec.stage!r},"
                    f" {when}; training stopped.",
                    "  start a new run with a smaller recipe.lr, recipe.clip_norm=1, or"
                    " precision=fp32",
                )

    def state(self) -> dict[str, Any]:
        """All that a resumed step depends on."""
        return {
            "student": self.student.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "loss": self.loss.state_dict(),
            "masked": None if self.masked is None else self.masked.state(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "sums": self.sums,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` answered in the same phase."""
        self.student.load_state_dict(state["student"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self.loss.load_state_dict(state["loss"])
        if self.masked is not None:
            self.masked.restore(state["masked"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        device = self.hardware.device
        self.sums = {name: value.to(device) for name, value in state["sums"].items()}
        self._weighed = True

    def close(self) -> None:
        """Take the hooks out of both networks."""
        self._ask_student.close()
        if self._ask_teacher is not None:
            self._ask_teacher.close()

    def _averaged(self) -> AveragedModel | None:
        if not self.recipe.ema:
            return None
        follow = get_ema_multi_avg_fn(self.recipe.ema)
        return AveragedModel(self.student, multi_avg_fn=follow, use_buffers=True)

    def _forward(self, batch: Batch, share: float, progress: Progress) -> Tensor:
        with self.hardware.autocast():
            # The teacher first: what it needed is free again when the student's graph grows. The
            # other way round a step took an eighth longer on a CPU.
            teacher = self._teacher_output(batch, progress)
            batch = with_pseudo_labels(batch, self.loss, teacher)
            answer = self._ask_student(batch.inputs)
            terms = self.loss(answer, teacher, batch, progress)
        total = torch.stack([term.float() for term in terms.values()]).sum() * share
        seen = {name: term.detach() for name, term in terms.items()}
        if self.hardware.device.type == "cpu":
            # On a GPU the sums are looked at before they are saved: each look stalls the device.
            self.refuse_non_finite(
                seen, f"at step {progress.step + 1} (epoch {progress.epoch + 1})"
            )
        hits = (answer.logits.detach().argmax(1) == batch.targets).float().mean()
        self._add({**seen, "accuracy": hits}, share)
        self._add({"loss": total.detach()}, 1.0)
        return total

    def _teacher_output(self, batch: Batch, progress: Progress) -> Output | None:
        if self.spec.outputs is not None:
            return self.spec.outputs.answer(self.spec.view(progress.epoch), batch.index)
        if self._ask_teacher is None:
            return None
        with torch.no_grad(), torch.autocast(self.hardware.device.type, enabled=False):
            return self._ask_teacher(batch.inputs)

    def unbalanced(self, progress: Progress) -> str:
        """A sentence on terms of a whole other size than the labels', once, at their first step.

        Terms that still rise to their full weight are counted with all of it.
        """
        share = self.loss.ramp(progress)
        if self._weighed or progress.phase != MAIN.name or not share:
            return ""
        self._weighed = True
        labels = self.sums.get("ce")
        own = [self.sums[name] for name in self.sums if name not in _NOT_OWN]
        if labels is None or not own or not labels.item():
            return ""
        ratio = torch.stack([one.float() for one in own]).sum().abs().item() / share / labels.item()
        if _LEAST <= ratio <= 1 / _LEAST:
            return ""
        return (
            f"at the first step the loss's own terms are {ratio:.2g} times its label term, where"
            f" {_LEAST:g} to {1 / _LEAST:g} is usual; look at the weights of the loss"
        )

    def _add(self, values: dict[str, Tensor], share: float) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0) + value * share


def _parts(batch: Batch, count: int) -> Iterator[tuple[Batch, float]]:
    """The batch in `count` parts, each with its share of the samples."""
    if count == 1:
        yield batch, 1.0
        return
    size = len(batch.index)
    share = None if batch.labeled is None else batch.labeled.float().mean()
    for rows in torch.arange(size, device=batch.index.device).tensor_split(count):
        soft, labeled = (
            None if whole is None else whole[rows] for whole in (batch.soft_targets, batch.labeled)
        )
        inputs = (
            batch.inputs[rows]
            if isinstance(batch.inputs, Tensor)
            else {name: value[rows] for name, value in batch.inputs.items()}
        )
        own = (batch.targets[rows], batch.index[rows], batch.view[rows])
        yield Batch(inputs, *own, soft, labeled, share), len(rows) / size
