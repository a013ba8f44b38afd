"""The training that is timed: resnet56 teaches resnet20 on generated images."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from kdrun.check.preflight import check
from kdrun.config.compose import compose_runs
from kdrun.dataset.data import Data
from kdrun.engine.frozen import freeze
from kdrun.run.plan import Plan
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
    """Check a config with these overrides and an epoch of at least so many steps."""
    size = int(BATCH_SIZE * steps / 0.9) + 200  # a tenth is kept for validation
    (job,) = compose_runs([*WORDS, f"dataset.train_size={size}", *words], multirun=False)
    return check(job.tree)


@dataclass(frozen=True)
class Workload:
    """A config with its networks, which every loop copies.

    Attributes:
        plan: the checked config, with data and device.
        teacher: resnet56 unless the plan names another network.
        student: resnet20 unless the plan names another network.
    """

    plan: Plan
    teacher: nn.Module
    student: nn.Module

    @property
    def device(self) -> torch.device:
        return self.plan.hardware.device

    def freeze_teacher(self) -> tuple[nn.Module, str]:
        """The teacher as kdrun runs it, and a sentence that says how it was optimized."""
        images = next(iter(self.plan.data.train.batches(BATCH_SIZE))).inputs
        return freeze(self.teacher, (), self.plan.hardware, images)

    def apply_settings(self) -> None:
        """Set PyTorch's global settings as kdrun does."""
        self.plan.hardware.prepare(self.plan.config.deterministic)


def make_workload(plan: Plan, trained: bool = True) -> Workload:
    """Build the networks with seeded weights; `trained` trains the teacher for a few steps."""
    config, data = plan.config, plan.data
    plan.hardware.prepare(config.deterministic)  # before cuBLAS is first used
    teacher = build_network(config.teacher.node, data, config.seed, "teacher")
    student = build_network(config.student.node, data, config.seed, "student")
    if trained:
        _train_briefly(teacher, data)
    return Workload(plan, teacher, student)


def _train_briefly(network: nn.Module, data: Data, steps: int = 4) -> None:
    """A few updates give norms their statistics, so that activations have a realistic size."""
    network.to(data.train.labels.device).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    for _, batch in zip(range(steps), data.train.batches(BATCH_SIZE), strict=False):
        optimizer.zero_grad()
        F.cross_entropy(network(batch.inputs), batch.targets).backward()
        optimizer.step()
