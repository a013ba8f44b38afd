"""Writes the text of `how_to_run.md`: how to load and run each file, and its check's result."""

import re
from collections.abc import Mapping
from typing import Any

from kdrun.core.control_characters import one_line
from kdrun.export.custom_operators import REGISTERED_BY
from kdrun.export.table import export_format

Record = Mapping[str, Any]

_MAX_NAMES = 20  # class names in the text; export.json has all

_MARKS = re.compile(r"[\\`*_\[\]<>#|]")  # what Markdown and HTML read as more than text

_HEAD = """\
# How to run these files

Each file takes `images`, float32 of shape (batch, {channels}, {height}, {width}) with any batch
size, and returns `logits`, float32 of shape (batch, {classes}).
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

_PIXELS = "pixels scaled to 0..1, which the file itself normalizes by\nmean {mean} and std {std}"
_NORMALIZED = "pixels scaled to 0..1, then (pixels - mean) / std with\nmean {mean} and std {std}"


def how_to_run(record: Record) -> str:
    """Return the text of `how_to_run.md`, made from the content of `export.json`.

    The code in it runs unchanged in the folder of the files, on images of random pixels.
    """
    height, width = record["image_size"]
    names = [_plain(name) for name in record["classes"]]
    listed = ", ".join(names[:_MAX_NAMES])
    text = _HEAD.format(
        height=height,
        width=width,
        channels=record["channels"],
        classes=len(names),
        names=listed if len(names) <= _MAX_NAMES else f"{listed}, and more in export.json",
    )
    return text + "".join(_section(name, file, record) for name, file in record["files"].items())


def _plain(text: str) -> str:
    """Return a name of a record or a dataset as text of Markdown: one line without its marks."""
    return _MARKS.sub(lambda match: f"\\{match[0]}", one_line(str(text)))


def _section(name: str, file: Record, record: Record) -> str:
    values = {key: [float(f"{value:.9g}") for value in record[key]] for key in ("mean", "std")}
    export = export_format(file["format"])
    code = export.example.format(
        file=name,
        shape=", ".join(map(str, (record["channels"], *record["image_size"]))),
        prepare="images = pixels" if file["normalize"] else export.normalize.format(**values),
        # Not what the record names: it may come from elsewhere, and this is code.
        imports="".join(f"import {module}\n" for module in REGISTERED_BY if file.get("imports")),
    )
    inputs = (_PIXELS if file["normalize"] else _NORMALIZED).format(**values)
    texts = {"row": _plain(file["row"]), "runtime": _plain(file["runtime"])}
    own = {"file": name, "input": inputs, "code": code}
    return _FILE.format(**{**file["check"], **file, **texts, **own})
