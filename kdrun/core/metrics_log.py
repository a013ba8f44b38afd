"""The log of a run's measurements, one JSON line for each; it can be read during the run."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kdrun.core import limits
from kdrun.core.atomic import (
    explain_write_errors,
    fault_point,
    open_in_place,
    replace_non_finite,
)
from kdrun.core.errors import DamagedFile
from kdrun.core.reading import open_record, read_all
from kdrun.core.records.check import check_record
from kdrun.core.records.measurement import Measurement

_KEYS = Measurement.__annotations__  # of the measurement itself; all others have what was measured
_VALUES = dict[str, float | None]


class MetricsLog:
    """A log of measurements, one JSON line for each.

    A resumed run cuts the log back to the size that its checkpoint recorded.

    Args:
        path: the file; the first `append` creates it.
        warn: called with a sentence if an incomplete last line was removed.
    """

    def __init__(self, path: Path, warn: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._warn = warn
        self._last_line_checked = False

    @property
    def offset(self) -> int:
        """Size of the file in bytes, 0 without a file."""
        return self.path.stat().st_size if self.path.exists() else 0

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a measurement; NaN and infinities become null, and `nonfinite` lists their keys.

        Raises:
            DiskFull: the disk is full or cannot be written.
        """
        lost: list[str] = []
        plain = replace_non_finite(record, "", lost)
        if lost:
            plain["nonfinite"] = lost
        line = json.dumps(plain, allow_nan=False).encode() + b"\n"
        self._drop_torn_line()
        half = len(line) // 2
        with explain_write_errors(self.path, len(line)), open_in_place(self.path, "ab") as file:
            file.write(line[:half])
            file.flush()
            fault_point("metrics-half")
            file.write(line[half:])

    def sync(self) -> int:
        """Sync the file to the disk; return its size in bytes, which the checkpoint records."""
        if self.path.exists():
            with explain_write_errors(self.path), self.path.open("rb") as file:
                os.fsync(file.fileno())
        return self.offset

    def truncate(self, offset: int) -> None:
        """Cut the log back to the size that a checkpoint recorded.

        Args:
            offset: the size in bytes.

        Raises:
            DamagedFile: the log is shorter.
        """
        self._drop_torn_line()
        size = self.offset
        if size < offset:
            raise DamagedFile(
                f"{str(self.path)!r} has {size} bytes, but the checkpoint recorded {offset}.",
                "  lines of it were lost; restore the file, or start the run anew",
            )
        if size > offset:
            self._cut(offset)

    def read(self) -> list[Measurement]:
        """Return all measurements; an incomplete last line is skipped.

        Raises:
            DamagedFile: a complete line is not a measurement, or this is no regular file.
        """
        lines = self._content().split(b"\n")[:-1]
        return [self._record(number, line) for number, line in enumerate(lines, start=1)]

    def _content(self) -> bytes:
        try:
            return read_all(open_record(self.path), limits.METRICS)
        except FileNotFoundError:
            return b""

    def _record(self, number: int, line: bytes) -> Measurement:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DamagedFile(f"line {number} of {str(self.path)!r} is no JSON.") from error
        source = f"{self.path}:{number}"
        measured = check_record(record, Measurement, source)
        values = {key: value for key, value in record.items() if key not in _KEYS}
        check_record(values, _VALUES, source)
        return measured

    def _cut(self, size: int) -> None:
        with explain_write_errors(self.path), open_in_place(self.path, "r+b") as file:
            file.truncate(size)

    def _drop_torn_line(self) -> None:
        if self._last_line_checked:
            return
        self._last_line_checked = True
        content = self._content()
        complete = content.rfind(b"\n") + 1
        torn = len(content) - complete
        if not torn:
            return
        self._cut(complete)
        if self._warn is not None:
            self._warn(f"{self.path.name}: dropped a torn last line of {torn} bytes")
