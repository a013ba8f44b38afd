"""Checks whether the teacher's outputs can be stored, and fit on the disk."""

import shutil
from pathlib import Path

from kdrun.check.built import BuiltRun
from kdrun.core.config import Config
from kdrun.core.disk import nearest_existing_folder
from kdrun.core.errors import ConfigError, Fault
from kdrun.core.number_format import format_bytes
from kdrun.dataset.data import Data
from kdrun.stage.outputs import StoreOutputs, with_teacher_outputs
from kdrun.step.plan import compress_stages

_WHERE = "teacher_outputs"


def check_teacher_outputs(run: BuiltRun) -> None:
    """Check every stage that stores outputs of the teacher, if there are no other faults."""
    if not run.stages or run.faults:
        return
    with run.faults.under(_WHERE):
        steps = compress_stages(run.config, run.stages)
        for stage in with_teacher_outputs(run.config, [*run.stages, *steps]):
            if isinstance(stage, StoreOutputs):
                _check_layout(run.config, stage, run.datasets[stage.info.data])


def _check_layout(config: Config, stage: StoreOutputs, data: Data) -> None:
    """Check how many logits of a sample are stored, and how many bytes all outputs take.

    Raises:
        ConfigError: `top_k` is no smaller than the number of classes, or the outputs are larger
            than `max_gb` or than the free disk space.
    """
    layout, limit = stage.layout(data), config.teacher_outputs.max_gb
    hint = f"take fewer {_WHERE}.views, or {_WHERE}.top_k"
    if layout.top_k is not None and layout.top_k >= layout.classes:
        message = (
            f"is {layout.top_k}, and there are {layout.classes} classes; null keeps all logits"
        )
        raise ConfigError([Fault(f"{_WHERE}.top_k", message)])
    if limit is not None and layout.bytes > limit * 1e9:
        message = f"is {limit:g}, and there would be {layout}; {hint}"
        raise ConfigError([Fault(f"{_WHERE}.max_gb", message)])
    free = shutil.disk_usage(nearest_existing_folder(Path(config.output_root))).free
    if layout.bytes > free:
        room = f"{format_bytes(free)} are free below {config.output_root!r}"
        raise ConfigError([Fault(_WHERE, f"there would be {layout}; {room}; {hint}")])
