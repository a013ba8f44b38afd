"""What stands beside exported files: how to load and run each, and what its check found."""

from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]

_SHOWN = 20  # classes that are named; the record has all

_HEAD = """\
# How to run these files

Each file takes `images`, float32 of shape (batch, {channels}, {height}, {width}) with any batch
from 1, and answers `logits`, float32 of shape (batch, {classes}).
Classes in the order of the logits: {names}.
"""

_FILE = """
## {file}

The row `{row}`, {bytes:,} bytes. Input: {input}.
Checked with {runtime} on {samples} test images: accuracy {accuracy:.2%} ({accuracy_in_pytorch:.2%}
in PyTorch), the same decision for {equal_decisions:.2%}, largest difference of logits
{largest_difference:.1e} where the largest logit is {largest_logit:.3g}.

```python
{code}```
"""

_INSIDE = "pixels scaled to 0..1, which the file itself normalizes by\nmean {mean} and std {std}"
_OUTSIDE = "pixels scaled to 0..1, then (pixels - mean) / std with\nmean {mean} and std {std}"

_ONNX = """\
import json
from pathlib import Path
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("{file}", providers=["CPUExecutionProvider"])
pixels = np.random.default_rng(0).random((2, {shape}), np.float32)  # yours: 0..255, divided by 255
{prepare}
(logits,) = session.run(["logits"], {{"images": images}})
classes = json.loads(Path("export.json").read_text(encoding="utf-8"))["classes"]
print([classes[best] for best in logits.argmax(1)])
"""
_NORMALIZE_NUMPY = """\
mean, std = (np.array(v, np.float32).reshape(-1, 1, 1) for v in ({mean}, {std}))
images = (pixels - mean) / std"""

_PT2 = """\
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
_NORMALIZE_TORCH = """\
mean, std = (torch.tensor(v).view(-1, 1, 1) for v in ({mean}, {std}))
images = (pixels - mean) / std"""

_CODE = {"onnx": (_ONNX, _NORMALIZE_NUMPY), "pt2": (_PT2, _NORMALIZE_TORCH)}


def how_to_run(record: Record) -> str:
    """The text of `how_to_run.md`, from what `export.json` holds.

    The code of each file runs in its folder as it stands, on images of random pixels.
    """
    height, width = record["image_size"]
    channels, names = record["channels"], record["classes"]
    named = ", ".join(names[:_SHOWN])
    text = _HEAD.format(
        height=height,
        width=width,
        channels=channels,
        classes=len(names),
        names=named if len(names) <= _SHOWN else f"{named}, and more in export.json",
    )
    return text + "".join(_section(name, one, record) for name, one in record["files"].items())


def _section(name: str, file: Record, record: Record) -> str:
    values = {key: [float(f"{one:.9g}") for one in record[key]] for key in ("mean", "std")}
    code, normalize = _CODE[file["format"]]
    ready = code.format(
        file=name,
        shape=", ".join(map(str, (record["channels"], *record["image_size"]))),
        prepare="images = pixels" if file["normalize"] else normalize.format(**values),
        imports="".join(f"import {module}\n" for module in file.get("imports", ())),
    )
    given = (_INSIDE if file["normalize"] else _OUTSIDE).format(**values)
    return _FILE.format(file=name, input=given, code=ready, **{**file, **file["check"]})
