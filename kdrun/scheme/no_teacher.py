"""The stages of schemes without a teacher, in which the student learns from itself."""

from collections.abc import Mapping
from typing import Any

from kdrun.core.config import Config
from kdrun.core.errors import UserError
from kdrun.scheme.base import control_stages, student_stage
from kdrun.stage.base import Stage


def stages_without_teacher(config: Config, loss: Mapping[str, Any]) -> list[Stage]:
    """Return the stages of the controls and of the student.

    Args:
        config: the config of the run.
        loss: the config node of the student's loss.

    Raises:
        UserError: `student.init` or `stop.when` of the config needs a teacher.
    """
    name, stop = config.scheme["name"], config.stop.when
    if config.student.init == "teacher":
        raise UserError(
            f"scheme {name!r} has no teacher whose weights the student could start from.",
            "  use student.init=scratch",
        )
    if stop is not None and stop.of == "teacher":
        raise UserError(
            f"scheme {name!r} has no teacher whose validation score the student could come near.",
            "  use another rule: stop.when={reaches: 0.98} or stop.when={within: 0, of: alone}",
        )
    return [*control_stages(config), student_stage(config, [], loss)]
