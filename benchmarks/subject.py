"""What is trained in the comparisons: resnet56 teaches resnet20 on images made from a seed."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from kdrun.check.preflight import check
from kdrun.config.compose import compose_runs
from kdrun.dataset.data import Data
from kdrun.engine.frozen import freeze
from kdrun.run.runner import Plan
from kdrun.stage.start import build_network

BATCH_SIZE = 64
WORDS = (
    "teacher=resnet56",
    "student=resnet20",
    "loss=kd",
    "loss.temperature=4",
    "loss.alpha=0.9",
    "recipe=crd",
    f"recipe.batch_size={BATCH_SIZE}",
    "dataset=fake",
    "dataset.num_classes=100",
    "threads=1",
)


def read_plan(*words: str, steps: int) -> Plan:
    """A checked config with these words, and an epoch of so many steps at least."""
    size = int(BATCH_SIZE * steps / 0.9) + 200  # a tenth is kept for validation
    (job,) = compose_runs([*WORDS, f"dataset.train_size={size}", *words], multirun=False)
    return check(job.tree)


@dataclass(frozen=True)
class Subject:
    """A config with its networks, which every loop copies.

    Attributes:
        plan: the checked config, its data and device.
        teacher: resnet56, if the plan has no other.
        student: resnet20, likewise.
    """

    plan: Plan
    teacher: nn.Module
    student: nn.Module

    @property
    def device(self) -> torch.device:
        return self.plan.hardware.device

    def freeze_teacher(self) -> tuple[nn.Module, str]:
        """The teacher as kdrun runs it, and what was done to it."""
        images = next(iter(self.plan.data.train.batches(BATCH_SIZE))).inputs
        return freeze(self.teacher, (), self.plan.hardware, images)

    def settle(self) -> None:
        self.plan.hardware.prepare(self.plan.config.deterministic)


def make_subject(plan: Plan, taught: bool = True) -> Subject:
    """Networks with seeded weights, the teacher's taught for a moment if that is wished."""
    config, data = plan.config, plan.data
    plan.hardware.prepare(config.deterministic)  # which cuBLAS heeds before its first use alone
    teacher = build_network(config.teacher.node, data, config.seed, "teacher")
    student = build_network(config.student.node, data, config.seed, "student")
    if taught:
        _teach(teacher, data)
    return Subject(plan, teacher, student)


def _teach(network: nn.Module, data: Data, steps: int = 4) -> None:
    """A few updates: norms get statistics, so that activations have the size that they have."""
    network.to(data.train.labels.device).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    for _, batch in zip(range(steps), data.train.batches(BATCH_SIZE), strict=False):
        optimizer.zero_grad()
        F.cross_entropy(network(batch.inputs), batch.targets).backward()
        optimizer.step()
