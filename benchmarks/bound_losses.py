"""Losses bound to two real networks, with the activations of one training step."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from kdrun.core.config import Network, Node
from kdrun.core.memory_format import move_network
from kdrun.core.taps import TappedNetwork
from kdrun.core.types import Batch, Output, Phase, Progress, TapShapes
from kdrun.loss.base import Loss
from kdrun.loss.table import build_loss
from kdrun.loss.two_phase_loss import FIRST
from kdrun.loss.weighted_loss import WeightedLoss
from kdrun.run.plan import Plan
from kdrun.stage.start import build_network
from kdrun.stage.tap_binding import bind_taps

BANK = 50_000  # samples in the memory of the losses that have one, as in CIFAR
# The last step of such a run is timed: there every weight has reached its full value.
_EPOCHS, _STEPS = 240, 781


@dataclass(frozen=True)
class BoundLoss:
    """A loss in one of its phases, with the outputs of both networks for a batch.

    Attributes:
        loss: bound; its parameters require gradients if the phase trains them.
        student: detached copies, which require gradients if the phase trains the student.
        teacher: without a graph; None if the loss needs no teacher.
        batch: images and labels.
        progress: the last step of the phase.
    """

    loss: Loss
    student: Output
    teacher: Output | None
    batch: Batch
    progress: Progress

    def step(self) -> Tensor:
        """Compute the loss, forward and backward, without the networks; returns its value."""
        terms = self.loss(self.student, self.teacher, self.batch, self.progress)
        total = torch.stack(list(terms.values())).sum()
        total.backward()
        self.forget()
        return total.detach()

    def unweighted_terms(self) -> Mapping[str, Tensor]:
        """The terms that this loss adds to labels and soft targets, without their weights."""
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


def bind_losses(plan: Plan, nodes: Mapping[str, tuple[Node, bool]]) -> dict[str, BoundLoss]:
    """Bind losses to the plan's networks, each of which is run once, on the same batch.

    Args:
        plan: names the networks, the batch size and the data.
        nodes: row of the table -> config node of a loss, and whether its first phase is timed
            rather than its main one. Rows of losses without a first phase are left out.
    """
    torch.manual_seed(plan.config.seed)
    batch = next(iter(plan.data.train.batches(plan.config.recipe.batch_size)))
    students, teachers = RoleNetworks(plan, "student", batch), RoleNetworks(plan, "teacher", batch)
    bound = {}
    for row, (node, first) in nodes.items():
        loss = build_loss(node)
        phases = loss.phases()[:-1] if first else loss.phases()[-1:]
        if phases:
            node = loss.student_node(plan.config.student.node, plan.config.teacher.node)
            student = students.bind_taps(node, loss.taps().student)
            teacher = teachers.bind_taps(plan.config.teacher.node, loss.taps().teacher)
            info = replace(plan.data.info, train_size=BANK)
            loss.bind(student, teacher if loss.uses_teacher else None, info)
            bound[row] = loss, phases[0], student, teacher
    return {
        row: _bound_loss(
            loss, phase, students.output(student, phase), teachers.output(teacher, None), batch
        )
        for row, (loss, phase, student, teacher) in bound.items()
    }


class RoleNetworks:
    """The student or teacher networks: built when first needed, and run once in training mode."""

    def __init__(self, plan: Plan, role: str, batch: Batch) -> None:
        self.plan, self.role, self.batch = plan, role, batch
        self.networks: dict[str, nn.Module] = {}
        self.tap_paths: dict[nn.Module, set[str]] = {}
        self.outputs: dict[nn.Module, Output] = {}

    def bind_taps(self, node: Node, request: Mapping[str, str]) -> TapShapes:
        """Resolve the taps of a loss on the network of this node."""
        plan = self.plan
        key = repr(node)
        if key not in self.networks:
            self.networks[key] = build_network(node, plan.data, plan.config.seed, self.role)
        network = self.networks[key]
        config = Network.model_validate({**node, "taps": plan.config.student.taps.model_dump()})
        shapes = bind_taps(self.role, config, network, request, plan.data)
        self.tap_paths.setdefault(network, set()).update(shapes.paths.values())
        return shapes

    def output(self, shapes: TapShapes, phase: Phase | None) -> Output:
        """Logits and taps of a loss, which require gradients if a phase trains the student."""
        network = shapes.network
        if network not in self.outputs:
            self.outputs[network] = self._run(network)
        output = self.outputs[network]
        learns = phase is not None and any(glob.startswith("student.") for glob in phase.trains)
        taps = {name: output.taps[path] for name, path in shapes.paths.items()}
        copies = {name: tap.detach().requires_grad_(learns) for name, tap in taps.items()}
        return Output(output.logits.detach().requires_grad_(learns), copies)

    def _run(self, network: nn.Module) -> Output:
        move_network(network, self.plan.hardware.device).train(self.role == "student")
        tapped = TappedNetwork(network, {path: path for path in sorted(self.tap_paths[network])})
        try:
            with torch.no_grad():
                return tapped(self.batch.inputs)
        finally:
            tapped.close()


def _bound_loss(
    loss: Loss, phase: Phase, student: Output, teacher: Output, batch: Batch
) -> BoundLoss:
    for name, parameter in loss.named_parameters():
        parameter.requires_grad_(any(fnmatchcase(f"loss.{name}", glob) for glob in phase.trains))
    epochs = phase.epochs or _EPOCHS
    progress = Progress(phase.name, epochs - 1, epochs, epochs * _STEPS - 1, epochs * _STEPS)
    return BoundLoss(loss.train(), student, teacher if loss.uses_teacher else None, batch, progress)
