"""Writes the text of `how_to_run.md`: how to load and run each file, and its check's result."""

import re
from collections.abc import Mapping
from typing import Any

from kdrun.core.control_characters import one_line
from kdrun.core.inputs import read_inputs
from kdrun.export.custom_operators import REGISTERED_BY
from kdrun.export.format import FolderFormat
from kdrun.export.input_spec import InputSpec, recorded_spec
from kdrun.export.table import export_format

Record = Mapping[str, Any]

_MAX_NAMES = 20  # class names in the text; export.json has all

_MARKS = re.compile(r"[\\`*_\[\]<>#|]")  # what Markdown and HTML read as more than text

_HEAD = """\
# How to run these files

Each file {inputs} and returns `logits`, float32 of shape (batch, {classes}).
Classes in the order of the logits: {names}.
"""

_FILE = """
## {file}

The row `{row}`, {bytes:,} bytes. Input: {input}.
Checked with {runtime} on {tested}: accuracy {accuracy:.2%} ({accuracy_in_pytorch:.2%}
in PyTorch), the same decision for {equal_decisions:.2%}, largest difference of logits
{largest_difference:.1e} where the largest logit is {largest_logit:.3g}.

```python
{code}```
"""


def how_to_run(record: Record) -> str:
    """Return the text of `how_to_run.md`, made from the content of `export.json`.

    The code in it runs unchanged in the folder of the files, on inputs that stand for one's own.
    """
    inputs = read_inputs(record)
    specs = {name: recorded_spec(inputs, file) for name, file in record["files"].items()}
    names = [_plain(name) for name in record["classes"]]
    listed = ", ".join(names[:_MAX_NAMES])
    text = _HEAD.format(
        inputs=next(iter(specs.values())).head(),
        classes=len(names),
        names=listed if len(names) <= _MAX_NAMES else f"{listed}, and more in export.json",
    )
    sections = (
        _section(name, file, specs[name], inputs.sample) for name, file in record["files"].items()
    )
    return text + "".join(sections)


def _plain(text: str) -> str:
    """Return a name of a record or a dataset as text of Markdown: one line without its marks."""
    return _MARKS.sub(lambda match: f"\\{match[0]}", one_line(str(text)))


def _section(name: str, file: Record, spec: InputSpec, sample: str) -> str:
    export = export_format(file["format"])
    if isinstance(export, FolderFormat):
        code = export.example.format(file=name)
    else:
        code = export.example.format(
            file=name,
            inputs=spec.code(export.arrays),
            arguments=", ".join(spec.names),
            named=", ".join(f'"{name}": {name}' for name in spec.names),
            # Not what the record names: it may come from elsewhere, and this is code.
            imports="".join(f"import {name}\n" for name in REGISTERED_BY if file.get("imports")),
        )
    texts = {"row": _plain(file["row"]), "runtime": _plain(file["runtime"])}
    tested = f"{file['check']['samples']} test {sample}s"
    own = {"file": name, "input": spec.description(), "code": code, "tested": tested}
    return _FILE.format(**{**file["check"], **file, **texts, **own})
