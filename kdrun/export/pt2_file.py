"""PyTorch's own format: the graph and its weights in one file, for torch.export.load."""

from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import torch
from torch.export import ExportedProgram

from kdrun.export.check import Loaded
from kdrun.export.trace import quiet


def encode(program: ExportedProgram) -> bytes:
    """The bytes of a .pt2 file."""
    file = BytesIO()
    with quiet():
        torch.export.save(program, file)
    return file.getvalue()


def load(path: Path) -> Loaded:
    """The file in PyTorch on the CPU, without the classes that the network was made of."""
    with quiet():
        module = torch.export.load(path).module()
    torch_version = version("torch")
    return Loaded(
        answer=module,
        runtime=f"torch {torch_version}",
        facts={"versions": {"torch": torch_version}},
    )
