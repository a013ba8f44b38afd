"""What plans share that train no teacher: the student learns from itself."""

from collections.abc import Mapping
from typing import Any

from kdrun.core.config import Config
from kdrun.core.errors import UserError
from kdrun.scheme.base import control_stages, student_stage
from kdrun.stage.base import Stage


def lone_student(config: Config, loss: Mapping[str, Any]) -> list[Stage]:
    """The controls and the student, which has no teacher.

    Raises:
        UserError: the config asks for something of the teacher that is not there.
    """
    name, rule = config.scheme["name"], config.stop.when
    if config.student.init == "teacher":
        raise UserError(
            f"scheme {name!r} has no teacher whose weights the student could start from.",
            "  use student.init=scratch",
        )
    if rule is not None and rule.of == "teacher":
        raise UserError(
            f"scheme {name!r} has no teacher that the student could come near.",
            "  use another rule: stop.when={reaches: 0.98} or stop.when={within: 0, of: alone}",
        )
    return [*control_stages(config), student_stage(config, [], loss)]
