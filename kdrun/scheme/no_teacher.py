"""The stages of schemes without a teacher, in which the student learns from itself."""

from collections.abc import Mapping
from typing import Any

from kdrun.core.config import Config
from kdrun.core.faults import Faults
from kdrun.scheme.base import control_stages, student_stage
from kdrun.stage.base import Stage


def stages_without_teacher(config: Config, loss: Mapping[str, Any]) -> list[Stage]:
    """Return the stages of the controls and of the student.

    Args:
        config: the config of the run.
        loss: the config node of the student's loss.

    Raises:
        ConfigError: `student.init` or `stop.when` of the config needs a teacher.
    """
    refuse_teacher(config)
    return [*control_stages(config), student_stage(config, [], loss)]


def refuse_teacher(config: Config) -> None:
    """Refuse settings that need a teacher, for schemes without a teacher.

    Raises:
        ConfigError: `student.init` or `stop.when` of the config needs a teacher.
    """
    no_teacher, faults = f"scheme {config.scheme['name']!r} has no teacher", Faults()
    if config.student.init == "teacher":
        faults.add(
            "student.init",
            f"{no_teacher} whose weights the student could start from; use student.init=scratch",
        )
    if config.stop.when is not None and config.stop.when.of == "teacher":
        faults.add(
            "stop.when.of",
            f"{no_teacher} whose validation score the student could come near; use"
            " stop.when={reaches: 0.98} or stop.when={within: 0, of: alone}",
        )
    faults.raise_if_any()
