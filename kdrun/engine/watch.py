"""Sends metrics to other tools during a run; they are in the run folder, too."""

from collections.abc import Callable, Mapping
from importlib import import_module
from numbers import Real
from pathlib import Path
from typing import Any

from kdrun.core.atomic import refuse_link

Record = Mapping[str, Any]
Watch = Callable[[Record], None]

_POSITION = ("stage", "phase", "epoch", "step", "split")  # all other keys of a record are values


def make_watch(logger: str, folder: Path) -> Watch:
    """Return the function that takes each record of measurements.

    Args:
        logger: none, or tensorboard, which needs the extra `tb`.
        folder: the run folder; TensorBoard reads `folder/tensorboard`.
    """
    if logger == "none":
        return lambda record: None
    refuse_link(folder / "tensorboard")
    # A resumed run writes some steps a second time; TensorBoard shows the newer of two.
    writer = import_module("torch.utils.tensorboard").SummaryWriter(str(folder / "tensorboard"))

    def write(record: Record) -> None:
        for name, value in record.items():
            if name not in _POSITION and isinstance(value, Real):
                tag = f"{record['stage']}/{record['split']}/{name}"
                writer.add_scalar(tag, float(value), record["epoch"])
        writer.flush()

    return write
