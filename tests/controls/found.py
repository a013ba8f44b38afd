"""Controls of what was found by trying: S1 to S29."""

from .control import Control

CONTROLS: list[Control] = [
    Control(
        "S2",
        "config/foreign_code.py",
        'if not node.get("job", {}).get("env_set"):',
        "if True:",
        "config/test_foreign_code.py::test_what_would_run_code_or_programs_is_refused"
        "[+hydra.job.env_set.PATH=bin]",
    ),
]
