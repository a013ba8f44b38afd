"""Other places that measurements go to while they are made; the run folder has them anyway."""

from collections.abc import Callable, Mapping
from importlib import import_module
from numbers import Real
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]
Watch = Callable[[Record], None]

_PLACE = ("stage", "phase", "epoch", "step", "split")  # of a record; everything else is a figure


def make_watch(logger: str, folder: Path) -> Watch:
    """What `logger` names, writing below the run folder.

    Args:
        logger: none, or tensorboard, which needs the extra `tb`.
        folder: the run folder; TensorBoard reads `folder/tensorboard`.
    """
    if logger == "none":
        return lambda record: None
    # A resumed run writes a step again; TensorBoard shows the newer of two.
    writer = import_module("torch.utils.tensorboard").SummaryWriter(str(folder / "tensorboard"))

    def write(record: Record) -> None:
        for name, value in record.items():
            if name not in _PLACE and isinstance(value, Real):
                tag = f"{record['stage']}/{record['split']}/{name}"
                writer.add_scalar(tag, float(value), record["epoch"])
        writer.flush()

    return write
