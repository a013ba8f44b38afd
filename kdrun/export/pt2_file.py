"""The .pt2 format of PyTorch: a graph and its weights in one file, for torch.export.load."""

from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import torch
from torch.export import ExportedProgram

from kdrun.export.format import ExportFormat, LoadedFile
from kdrun.export.trace import suppress_output

_EXAMPLE = """\
import json
from pathlib import Path
import torch
{imports}
network = torch.export.load("{file}").module()
pixels = torch.rand(2, {shape}, generator=torch.Generator().manual_seed(0))  # yours: 0..255, / 255
{prepare}
with torch.inference_mode():
    logits = network(images)
classes = json.loads(Path("export.json").read_text(encoding="utf-8"))["classes"]
print([classes[best] for best in logits.argmax(1)])
"""
_NORMALIZE = """\
mean, std = (torch.tensor(v).view(-1, 1, 1) for v in ({mean}, {std}))
images = (pixels - mean) / std"""


def encode(program: ExportedProgram) -> bytes:
    """Return the bytes of a .pt2 file."""
    file = BytesIO()
    with suppress_output():
        torch.export.save(program, file)
    return file.getvalue()


def load(path: Path) -> LoadedFile:
    """Load a .pt2 file into PyTorch on the CPU. The network's classes are not needed."""
    with suppress_output():
        module = torch.export.load(path).module()
    torch_version = version("torch")
    return LoadedFile(
        forward=module,
        runtime=f"torch {torch_version}",
        facts={"versions": {"torch": torch_version}},
    )


PT2 = ExportFormat(encode, load, _EXAMPLE, _NORMALIZE, calls_custom_operators=True)
