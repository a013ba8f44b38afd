"""Reads and writes records: JSON files with a sum of their content, which reveals a changed value.

The sum tells damage and slips. It is no signature: whoever changes a record on purpose can write
the sum of the changed one, or leave it out, as in the records of kdrun 0.1.0.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from kdrun.core import limits
from kdrun.core.atomic import replace_non_finite, write_text
from kdrun.core.errors import DamagedFile
from kdrun.core.reading import open_record, read_all
from kdrun.core.records.check import is_newer

_SUM = "sum"


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write a record with its sum as `write_bytes` does; NaN and infinities become null."""
    finite = replace_non_finite(record, "", [])
    summed = {**finite, _SUM: _sum(finite)}
    write_text(path, json.dumps(summed, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """Return a record without its sum; None if there is no such file.

    Raises:
        DamagedFile: the file is not JSON, its content is not a mapping or does not agree with its
            sum, or it can't be read.
    """
    try:
        text = read_all(open_record(path), limits.RECORD)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamagedFile(f"{str(path)!r} can't be read: {error.strerror}.") from error
    try:
        record = json.loads(text.decode())
        found = _sum(record)
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{str(path)!r} is no JSON: {error}.") from error
    if not isinstance(record, dict):
        raise DamagedFile(f"{str(path)!r} holds no mapping.")
    if record.pop(_SUM, found) != found and not is_newer(record):
        raise DamagedFile(
            f"{str(path)!r} is not what kdrun wrote: a value in it was changed.",
            "  restore the file from a copy",
        )
    return record


def _sum(record: Any) -> str:
    """Return the SHA-256 of a record without its sum, whatever the white space of its file."""
    values = {**record, _SUM: ""} if isinstance(record, dict) else record
    return sha256(json.dumps(values, separators=(",", ":")).encode()).hexdigest()
