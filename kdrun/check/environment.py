"""Checks of the machine: files, installed packages, writable folders, free disk space."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from kdrun.check.built import BuiltRun
from kdrun.core.config import Config
from kdrun.core.disk import check_writable, nearest_existing_folder
from kdrun.core.errors import DiskFull, Fault
from kdrun.core.faults import Faults
from kdrun.core.number_format import format_bytes
from kdrun.stage.given_teacher import artefact_folder

_RESERVE = 1.2  # the free space that is required, as a multiple of the estimate


def check_teacher_source(config: Config, faults: Faults) -> None:
    """Check that the run or the file with the teacher's weights exists."""
    teacher = config.teacher
    if teacher.run:
        with faults.under("teacher.run"):
            artefact_folder(Path(teacher.run))
    elif teacher.checkpoint and Path(teacher.checkpoint).is_dir():
        message = f"{teacher.checkpoint!r} is a folder; a run's is given as teacher.run"
        faults.add("teacher.checkpoint", message)
    elif teacher.checkpoint and not Path(teacher.checkpoint).is_file():
        faults.add("teacher.checkpoint", f"there is no file {teacher.checkpoint!r}")


def has_teacher_source(config: Config) -> bool:
    """Return whether `check_teacher_source` finds no fault."""
    faults = Faults()
    check_teacher_source(config, faults)
    return not faults


def check_logger(config: Config, faults: Faults) -> None:
    """Check that the optional package that the logger needs is installed."""
    if config.logger == "tensorboard" and find_spec("tensorboard") is None:
        faults.add("logger", "'tensorboard' needs an extra: pip install 'kdrun[tb]'")


def check_output_root(config: Config, faults: Faults) -> None:
    """Check that run folders can be written below the output root."""
    faults.extend(check_writable("output_root", config.output_root))


def check_disk_space(run: BuiltRun) -> None:
    """Check that the checkpoints of a run fit on the disk.

    While a network trains, two checkpoints of it exist: the current and the previous one, each with
    weights, moments of the optimizer and averaged weights. The last and the best weights stay.
    """
    if not run.sound >= {"recipe", "output_root", "controls"}:
        return
    recipe, root = run.config.recipe, run.config.output_root
    moments = 2 if recipe.optimizer["name"].startswith("adam") else 1
    copies = 2 * (1 + moments + bool(recipe.ema)) + 2
    trained = [*run.modules.values(), *[run.modules["student"]] * len(run.config.controls)]
    weights = sum(value.nbytes for network in trained for value in network.parameters())
    needed = weights * copies * _RESERVE
    free = shutil.disk_usage(nearest_existing_folder(Path(root))).free
    if needed > free:
        what = (
            f"the run needs about {format_bytes(needed)} below {root!r}, and {format_bytes(free)}"
            " are free; make room, or choose another folder"
        )
        run.faults.extend([Fault("output_root", what, DiskFull.status)])
