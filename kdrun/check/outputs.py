"""Whether what a teacher answers can be stored, and whether there is room for it."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from kdrun.core.config import Config
from kdrun.core.disk import nearest_folder
from kdrun.core.errors import Fault, collect
from kdrun.core.size import size_of
from kdrun.dataset.data import Data
from kdrun.stage.base import Stage
from kdrun.stage.outputs import AskTeacher, with_outputs
from kdrun.step.plan import compress_stages

_WHERE = "teacher_outputs"


def storable(config: Config, datasets: Mapping[str, Data], stages: Sequence[Stage]) -> list[Fault]:
    """What stands against storing the teacher's answers as the config asks.

    Args:
        config: the run's.
        datasets: what stages work with.
        stages: the scheme's.
    """
    found: list[Stage] = []

    def lead() -> None:
        found.extend(with_outputs(config, [*stages, *compress_stages(config, stages)]))

    faults = collect(lead, _WHERE)
    asking = [stage for stage in found if isinstance(stage, AskTeacher)]
    for stage in asking:
        faults += faults or _layout(config, stage, datasets[stage.info.data])
    return faults


def _layout(config: Config, stage: AskTeacher, data: Data) -> list[Fault]:
    """Whether so much may be stored, and how many logits there are to keep."""
    layout, limit = stage.layout(data), config.teacher_outputs.max_gb
    if layout.top_k is not None and layout.top_k >= layout.classes:
        told = f"is {layout.top_k}, and there are {layout.classes} classes; null keeps all logits"
        return [Fault(f"{_WHERE}.top_k", told)]
    free = shutil.disk_usage(nearest_folder(Path(config.output_root))).free
    mend = f"take fewer {_WHERE}.views, or {_WHERE}.top_k"
    if limit is not None and layout.bytes > limit * 1e9:
        return [Fault(f"{_WHERE}.max_gb", f"is {limit:g}, and there would be {layout}; {mend}")]
    if layout.bytes > free:
        told = f"{layout}; {size_of(free)} are free below {config.output_root!r}"
        return [Fault(_WHERE, f"there would be {told}; {mend}")]
    return []
