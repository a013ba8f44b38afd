"""The record of a run's measurements: one JSON line each, readable while the run goes on."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kdrun.core.atomic import explain_write_errors, fault_point, replace_non_finite
from kdrun.core.errors import DamagedFile
from kdrun.core.records.check import check_record
from kdrun.core.records.measurement import Measurement


class MetricsLog:
    """One JSON line a measurement; a resumed run cuts it back to where its checkpoint stood.

    Args:
        path: the file; it is made by the first append.
        tell: takes the one sentence that reports a torn last line.
    """

    def __init__(self, path: Path, tell: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._tell = tell
        self._whole = False

    @property
    def offset(self) -> int:
        """Bytes so far, 0 without a file."""
        return self.path.stat().st_size if self.path.exists() else 0

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line; a non-finite number becomes null and `nonfinite` lists its dotted key.

        Raises:
            DiskFull: the disk is full or refuses.
        """
        lost: list[str] = []
        plain = replace_non_finite(record, "", lost)
        if lost:
            plain["nonfinite"] = lost
        line = json.dumps(plain, allow_nan=False).encode() + b"\n"
        self._drop_torn_line()
        half = len(line) // 2
        with explain_write_errors(self.path, len(line)), self.path.open("ab") as file:
            file.write(line[:half])
            file.flush()
            fault_point("metrics-half")
            file.write(line[half:])

    def sync(self) -> int:
        """Force the lines to the disk; the offset that a checkpoint may now rely on."""
        if self.path.exists():
            with explain_write_errors(self.path), self.path.open("rb") as file:
                os.fsync(file.fileno())
        return self.offset

    def truncate(self, offset: int) -> None:
        """Cut back to what a checkpoint knew.

        Raises:
            DamagedFile: the log is shorter than that.
        """
        self._drop_torn_line()
        found = self.offset
        if found < offset:
            raise DamagedFile(
                f"{str(self.path)!r} has {found} bytes, but the checkpoint knew {offset}.",
                "  lines of it were lost; restore the file, or start the run anew",
            )
        if found > offset:
            with explain_write_errors(self.path):
                os.truncate(self.path, offset)

    def read(self) -> list[Measurement]:
        """All records; a last line that is still being written, or torn, is left out.

        Raises:
            DamagedFile: a line before it is no measurement.
        """
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")[:-1]
        return [self._record(number, line) for number, line in enumerate(lines, start=1)]

    def _record(self, number: int, line: bytes) -> Measurement:
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DamagedFile(f"line {number} of {str(self.path)!r} is no JSON.") from error
        return check_record(record, Measurement, f"{self.path}:{number}")

    def _drop_torn_line(self) -> None:
        if self._whole:
            return
        self._whole = True
        if self.offset == 0:
            return
        found = self.path.read_bytes()
        kept = found.rfind(b"\n") + 1
        if kept == len(found):
            return
        with explain_write_errors(self.path):
            os.truncate(self.path, kept)
        if self._tell is not None:
            self._tell(f"{self.path.name}: dropped a torn last line of {len(found) - kept} bytes")
