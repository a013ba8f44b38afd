"""The stages of `compress=...`, after those of the scheme."""

from collections.abc import Sequence

from kdrun.core.config import Config
from kdrun.core.errors import UserError
from kdrun.scheme.table import make_scheme
from kdrun.stage.base import Stage, StageInfo
from kdrun.stage.outputs import with_outputs
from kdrun.step.base import Before, Step, make_step

Planned = tuple[str, Step, list[Stage]]

_ROWS = {"student": "distilled", "teacher": "teacher"}  # what is compressed -> its row


def origin_of(config: Config, stages: Sequence[Stage]) -> Stage:
    """The stage whose network is compressed.

    Raises:
        UserError: the scheme has no such network.
    """
    of = config.compress.of
    found = [stage for stage in stages if stage.info.label == _ROWS[of]]
    if not found:
        raise UserError(
            f"scheme={config.scheme['name']} has no {of} to compress.",
            f"  compress.of={'student' if of == 'teacher' else 'teacher'}",
        )
    return found[-1]


def all_stages(config: Config) -> list[Stage]:
    """What leaves models in a run: the stages of its scheme, then those of compression.

    Raises:
        UserError: a stage has nothing to work with.
    """
    stages = make_scheme(config.scheme).stages(config)
    return with_outputs(config, [*stages, *compress_stages(config, stages)])


def compress_stages(config: Config, stages: Sequence[Stage]) -> list[Stage]:
    """The stages that compress the network which the config names, each after the one before.

    Args:
        config: the run's.
        stages: the scheme's.

    Raises:
        UserError: there is no such network, or a step has nothing to work with.
    """
    return [stage for _, _, own in plan_steps(config, stages) for stage in own]


def plan_steps(config: Config, stages: Sequence[Stage]) -> list[Planned]:
    """Each step by what it is called here, with its stages; see `compress_stages`."""
    if not config.compress.steps:
        return []
    origin = origin_of(config, stages)
    teacher = next((stage for stage in stages if stage.info.name == "teacher"), None)
    made: list[Planned] = []
    before = origin
    for number, (key, node) in enumerate(config.compress.nodes.items(), start=1):
        name, step = f"compress-{number}-{key}", make_step(node)
        info = StageInfo(
            name,
            name,
            f"{number} {key}",
            shared=number < len(config.compress.nodes),
            reads=(before.info.name,),
            data=origin.info.data,
            baseline=before.info.label,
        )
        calibrated = "network" in [step.rounds, *(one.rounds for _, one, _ in made)]
        own = step.stages(Before(config, info, before, origin, teacher, node, calibrated))
        made.append((key, step, own))
        before = own[-1]
    return made
