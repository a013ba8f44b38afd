"""Whether the teacher's outputs can be stored, and whether the disk has room for them."""

import shutil
from pathlib import Path

from kdrun.check.built import BuiltRun
from kdrun.core.config import Config
from kdrun.core.disk import nearest_existing_folder
from kdrun.core.errors import ConfigError, Fault
from kdrun.core.size import format_bytes
from kdrun.dataset.data import Data
from kdrun.stage.outputs import StoreOutputs, with_teacher_outputs
from kdrun.step.plan import compress_stages

_WHERE = "teacher_outputs"


def check_teacher_outputs(run: BuiltRun) -> None:
    """Check every stage that stores outputs of the teacher, if nothing else is wrong."""
    if not run.stages or run.faults:
        return
    with run.faults.under(_WHERE):
        steps = compress_stages(run.config, run.stages)
        for stage in with_teacher_outputs(run.config, [*run.stages, *steps]):
            if isinstance(stage, StoreOutputs):
                _check_layout(run.config, stage, run.datasets[stage.info.data])


def _check_layout(config: Config, stage: StoreOutputs, data: Data) -> None:
    """Check the number of logits that are kept, and the bytes that they take.

    Raises:
        ConfigError: all classes are kept anyway, or the outputs are larger than allowed.
    """
    layout, limit = stage.layout(data), config.teacher_outputs.max_gb
    hint = f"take fewer {_WHERE}.views, or {_WHERE}.top_k"
    if layout.top_k is not None and layout.top_k >= layout.classes:
        what = f"is {layout.top_k}, and there are {layout.classes} classes; null keeps all logits"
        raise ConfigError([Fault(f"{_WHERE}.top_k", what)])
    if limit is not None and layout.bytes > limit * 1e9:
        what = f"is {limit:g}, and there would be {layout}; {hint}"
        raise ConfigError([Fault(f"{_WHERE}.max_gb", what)])
    free = shutil.disk_usage(nearest_existing_folder(Path(config.output_root))).free
    if layout.bytes > free:
        room = f"{format_bytes(free)} are free below {config.output_root!r}"
        raise ConfigError([Fault(_WHERE, f"there would be {layout}; {room}; {hint}")])
