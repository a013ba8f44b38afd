"""Losses bound to two real networks, with a step's activations at hand."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from kdrun.core.config import Network, Node
from kdrun.core.device import place_network
from kdrun.core.taps import TappedNetwork
from kdrun.core.types import Batch, Output, Phase, Progress, TapShapes
from kdrun.loss.base import Loss
from kdrun.loss.table import build_loss
from kdrun.loss.two_phase_loss import FIRST
from kdrun.loss.weighted_loss import WeightedLoss
from kdrun.run.runner import Plan
from kdrun.stage.start import build_network
from kdrun.stage.tap_binding import bind_taps

BANK = 50_000  # samples in the memory of the losses that have one, as in CIFAR
_EPOCHS, _STEPS = 240, 781  # of the run whose last step is timed: every weight has risen


@dataclass(frozen=True)
class Seated:
    """A loss in one of its phases, and what both networks answered to a batch.

    Attributes:
        loss: bound, with gradients where the phase trains its parameters.
        student: detached copies, with gradients where the phase trains the student.
        teacher: without a graph, if the loss reads one.
        batch: the images and labels.
        progress: the last step of the phase.
    """

    loss: Loss
    student: Output
    teacher: Output | None
    batch: Batch
    progress: Progress

    def step(self) -> Tensor:
        """Forward and backward of the loss alone; its value."""
        terms = self.loss(self.student, self.teacher, self.batch, self.progress)
        total = torch.stack(list(terms.values())).sum()
        total.backward()
        self.forget()
        return total.detach()

    def own_terms(self) -> Mapping[str, Tensor]:
        """The loss's terms of its own, as they count in this phase but without their weight."""
        if self.teacher is None or not isinstance(self.loss, WeightedLoss):
            return {}
        if self.progress.phase == FIRST:
            return self.loss(self.student, self.teacher, self.batch, self.progress)
        return self.loss.terms(self.student, self.teacher, self.batch, self.progress)

    def forget(self) -> None:
        """Drop all gradients."""
        self.loss.zero_grad(set_to_none=True)
        for tensor in (self.student.logits, *self.student.taps.values()):
            tensor.grad = None


def seat_losses(plan: Plan, asked: Mapping[str, tuple[Node, bool]]) -> dict[str, Seated]:
    """Losses on the plan's networks, under their rows; each network answers one batch, once.

    Args:
        plan: its teacher and student, batch size and data.
        asked: row -> a loss's node, and whether its first phase is meant rather than the main one;
            a row whose loss has none is left out.
    """
    torch.manual_seed(plan.config.seed)
    batch = next(iter(plan.data.train.batches(plan.config.recipe.batch_size)))
    pupils, teacher = Asked(plan, "student", batch), Asked(plan, "teacher", batch)
    waiting = {}
    for row, (node, first) in asked.items():
        loss = build_loss(node)
        phases = loss.phases()[:-1] if first else loss.phases()[-1:]
        if phases:
            node = loss.student_node(plan.config.student.node, plan.config.teacher.node)
            own = pupils.bind_taps(node, loss.taps().student)
            other = teacher.bind_taps(plan.config.teacher.node, loss.taps().teacher)
            info = replace(plan.data.info, train_size=BANK)
            loss.bind(own, other if loss.uses_teacher else None, info)
            waiting[row] = loss, phases[0], own, other
    return {
        row: _seated(loss, phase, pupils.answer(own, phase), teacher.answer(other, None), batch)
        for row, (loss, phase, own, other) in waiting.items()
    }


class Asked:
    """Networks of one role, built when first asked for, and what they answer in training."""

    def __init__(self, plan: Plan, role: str, batch: Batch) -> None:
        self.plan, self.role, self.batch = plan, role, batch
        self.networks: dict[str, nn.Module] = {}
        self.places: dict[nn.Module, set[str]] = {}
        self.answers: dict[nn.Module, Output] = {}

    def bind_taps(self, node: Node, request: Mapping[str, str]) -> TapShapes:
        """Where a loss reads the network of this node."""
        plan = self.plan
        key = repr(node)
        if key not in self.networks:
            self.networks[key] = build_network(node, plan.data, plan.config.seed, self.role)
        network = self.networks[key]
        config = Network.model_validate({**node, "taps": plan.config.student.taps.model_dump()})
        found = bind_taps(self.role, config, network, request, plan.data)
        self.places.setdefault(network, set()).update(found.paths.values())
        return found

    def answer(self, taps: TapShapes, phase: Phase | None) -> Output:
        """The taps of a binding, with gradients where a phase trains the student."""
        network = taps.network
        if network not in self.answers:
            self.answers[network] = self._answer(network)
        whole = self.answers[network]
        learns = phase is not None and any(glob.startswith("student.") for glob in phase.trains)
        activations = {name: whole.taps[path] for name, path in taps.paths.items()}
        copies = {name: tap.detach().requires_grad_(learns) for name, tap in activations.items()}
        return Output(whole.logits.detach().requires_grad_(learns), copies)

    def _answer(self, network: nn.Module) -> Output:
        place_network(network, self.plan.hardware.device).train(self.role == "student")
        tapped = TappedNetwork(network, {place: place for place in sorted(self.places[network])})
        try:
            with torch.no_grad():
                return tapped(self.batch.inputs)
        finally:
            tapped.close()


def _seated(loss: Loss, phase: Phase, student: Output, teacher: Output, batch: Batch) -> Seated:
    for name, parameter in loss.named_parameters():
        parameter.requires_grad_(any(fnmatchcase(f"loss.{name}", glob) for glob in phase.trains))
    epochs = phase.epochs or _EPOCHS
    progress = Progress(phase.name, epochs - 1, epochs, epochs * _STEPS - 1, epochs * _STEPS)
    return Seated(loss.train(), student, teacher if loss.uses_teacher else None, batch, progress)
