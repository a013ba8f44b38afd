"""The .pt2 format of PyTorch: a graph and its weights in one file, for torch.export.load."""

from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import torch
from torch.export import ExportedProgram

from kdrun.export.format import ExportFormat, LoadedFile
from kdrun.export.recurrent import with_torch_lstms
from kdrun.export.trace import suppress_output

_EXAMPLE = """\
import json
from pathlib import Path
import torch
{imports}
network = torch.export.load("{file}").module()
{inputs}
with torch.inference_mode():
    logits = network({arguments})
classes = json.loads(Path("export.json").read_text(encoding="utf-8"))["classes"]
print([classes[best] for best in logits.argmax(1)])
"""


def encode(program: ExportedProgram) -> bytes:
    """Return the bytes of a .pt2 file."""
    file = BytesIO()
    with suppress_output():
        torch.export.save(with_torch_lstms(program), file)
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


PT2 = ExportFormat(encode, load, _EXAMPLE, arrays="torch", calls_custom_operators=True)
