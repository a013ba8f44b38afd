"""Controls of the fault matrix, F1 to F37."""

from .control import Control

_SAVED = "engine/test_checkpoint.py::test_a_kill_while_saving_leaves_a_whole_checkpoint"
# A writer in place: no temporary file and no rename.
_OPENED = 'with open_in_place(temporary, "wb") as file:\n                _fill(file, parts)'
_IN_PLACE = 'with open_in_place(path, "wb") as file:\n                _fill(file, parts)'
_NO_RENAME = ("core/atomic.py", "temporary.replace(path)", "pass")

CONTROLS: list[Control] = [
    Control(
        "F2",
        "core/atomic.py",
        '_remove_leftovers(path)\n        fault_point("before-temp")',
        'open(path, "wb").close()\n        fault_point("before-temp")',
        f"{_SAVED}[before-temp]",
    ),
    Control("F3", "core/atomic.py", _OPENED, _IN_PLACE, f"{_SAVED}[half-temp]", edits=[_NO_RENAME]),
    Control(
        "F26",
        "sweep/hydra_launcher.py",
        "job_return.cfg = job_return.hydra_cfg = None",
        "pass",
        "sweep/test_hydra_launcher.py::test_no_config_of_a_job_stays_in_memory",
    ),
]
