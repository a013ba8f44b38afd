"""Controls of the table of bad inputs, B1 to B36."""

from .control import Control

CONTROLS: list[Control] = [
    Control(
        "B24",
        "core/careful_yaml.py",
        "if count > _MAX_VALUES:",
        "if False:",
        "core/test_careful_yaml.py::test_a_file_that_contains_itself_is_refused",
    ),
]
