"""`python -m tests.controls [ROW ...]`: see each control's tests fail without its protection."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .bite import Copy, Outcomes, bite, passes
from .control import Control, Result
from .table import CONTROLS


def run_controls(controls: list[Control], copy: Copy, outcomes: Outcomes) -> Iterator[Result]:
    """Yield what came of each control, given the outcomes of its tests without an edit."""
    for control in controls:
        reason = passes(control, outcomes)
        yield Result(control, False, reason) if reason else bite(copy, control)


def main(rows: list[str]) -> int:
    """Print a line for each control; return the exit status."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    unknown = set(rows) - {control.row for control in CONTROLS}
    if unknown:
        print(f"no control has the row {', '.join(sorted(unknown))}")
        return 2
    controls = [control for control in CONTROLS if not rows or control.row in rows]
    tests = dict.fromkeys(test for control in controls for test in control.tests)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="kdrun-controls-") as folder:
        copy = Copy(Path(folder).resolve())
        outcomes = copy.run(tests, seconds=3600)
        print(f"{len(outcomes)} cases of {len(tests)} tests ran without an edit", flush=True)
        for result in run_controls(controls, copy, outcomes):
            said = "bites" if result.bit else f"DOES NOT BITE: {result.reason}"
            print(f"{result.control.row:>8}  {result.control.file}  {said}", flush=True)
            failed += not result.bit
    print(f"{len(controls) - failed} of {len(controls)} controls bite")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
