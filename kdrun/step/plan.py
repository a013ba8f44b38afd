"""Plans the stages of compression, which follow the stages of the scheme."""

from collections.abc import Sequence
from typing import NamedTuple

from kdrun.core.config import Config
from kdrun.core.errors import UserError
from kdrun.core.folder import STUDENT_ROW
from kdrun.scheme.table import make_scheme
from kdrun.stage.base import Stage, StageInfo
from kdrun.stage.outputs import with_teacher_outputs
from kdrun.step.context import Step, StepContext, make_step

_LABELS = {"student": STUDENT_ROW, "teacher": "teacher"}  # role -> label of the network's stage


class PlannedStep(NamedTuple):
    """A step of compression, its key in the config's `compress`, and its stages in order."""

    key: str
    step: Step
    stages: list[Stage]


def origin_of(config: Config, stages: Sequence[Stage]) -> Stage:
    """Return the stage whose network is compressed.

    Raises:
        UserError: the scheme trains no such network.
    """
    role = config.compress.of
    matching = [stage for stage in stages if stage.info.label == _LABELS[role]]
    if not matching:
        raise UserError(
            f"scheme={config.scheme['name']} has no {role} to compress.",
            f"  compress.of={'student' if role == 'teacher' else 'teacher'}",
        )
    return matching[-1]


def all_stages(config: Config) -> list[Stage]:
    """Return all stages of a run: those of its scheme, then those of compression.

    Raises:
        UserError: a stage lacks something that it needs, such as a teacher.
    """
    stages = make_scheme(config.scheme).stages(config)
    return with_teacher_outputs(config, [*stages, *compress_stages(config, stages)])


def compress_stages(config: Config, stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages that compress a network; each changes the network of the stage before.

    Args:
        config: the run's config, which names the network and the steps.
        stages: the stages of the scheme.

    Raises:
        UserError: the scheme trains no such network, or a step lacks something that it needs.
    """
    return [stage for planned in plan_steps(config, stages) for stage in planned.stages]


def plan_steps(config: Config, stages: Sequence[Stage]) -> list[PlannedStep]:
    """Return the steps of compression with their stages; see `compress_stages`."""
    if not config.compress.steps:
        return []
    origin = origin_of(config, stages)
    teacher = next((stage for stage in stages if stage.info.name == "teacher"), None)
    plan: list[PlannedStep] = []
    previous, calibrated = origin, False
    for number, (key, node) in enumerate(config.compress.nodes.items(), start=1):
        name, step = f"compress-{number}-{key}", make_step(node)
        info = StageInfo(
            name=name,
            folder=name,
            label=f"{number} {key}",
            shared=number < len(config.compress.nodes),
            reads=(previous.info.name,),
            data=origin.info.data,
            baseline=previous.info.label,
        )
        calibrated = calibrated or step.quantizes == "network"
        context = StepContext(config, info, previous, origin, teacher, node, calibrated)
        plan.append(PlannedStep(key, step, step.stages(context)))
        previous = plan[-1].stages[-1]
    return plan
