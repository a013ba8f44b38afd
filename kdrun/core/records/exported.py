"""export.json: the exported files of a run, and how each was checked."""

import re
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from kdrun.core.errors import DamagedFile
from kdrun.core.records.check import Count, check_record

# As kdrun makes it: it stands in the code of how_to_run.md.
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class ExportedTokenizer(TypedDict):
    """The tokenizer of a network's texts.

    Keys:
        file: the name of its file.
        kind: its kind, which the file says too.
        encoding: the name of the encoding among those of the data.
    """

    file: str
    kind: Literal["words", "chars", "bytes", "tokenizers"]
    encoding: str


class ExportedFile(TypedDict):
    """An exported file; further keys are facts about its format.

    Keys:
        row: the row of the results table.
        network: the fingerprint of the row's artefact.
        format: the name of the format.
        normalize: whether the file normalizes images itself.
        tokenizer: the file of the tokenizer of its texts; missing for images.
        runtime: what ran the file for its check.
        check: the results of the check.
        imports: modules that must be imported before the file is loaded; missing in older files.
        bytes: the size of the file.
        sha256: the SHA-256 of the file.
    """

    row: str
    network: str
    format: Literal["onnx", "pt2", "hf"]
    normalize: bool
    tokenizer: NotRequired[ExportedTokenizer]
    runtime: str
    check: dict[str, float]
    imports: NotRequired[list[str]]
    bytes: Count
    sha256: str


class Exported(TypedDict, total=False):
    """The record of a folder of exported files; other keys describe the data.

    Keys:
        format: the number of the file's format.
        files: name of each file -> its record.
    """

    format: int
    files: dict[str, ExportedFile]


def check_exported(record: dict[str, Any], path: Path) -> Exported:
    """Check the record in a file.

    Raises:
        DamagedFile: a value has another type, or a file has no plain name.
    """
    checked = check_record(record, Exported, path)
    files = checked.get("files", {})
    tokenizers = [file["tokenizer"]["file"] for file in files.values() if "tokenizer" in file]
    for name in [*files, *tokenizers]:
        if not _FILE_NAME.fullmatch(name):
            raise DamagedFile(f"{str(path)!r} has {name!r} for the name of a file.")
    return checked
