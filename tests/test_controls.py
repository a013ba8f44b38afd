"""Negative controls fit the code that they edit, and some are seen to bite."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from controls.control import Control
from controls.table import CONTROLS

ROOT = Path(__file__).parents[1]
QUICK = ("S2",)  # the tests of these run in one process


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.row)
def test_each_edit_and_test_is_there(control: Control) -> None:
    assert control.faults(ROOT / "kdrun") == []
    for test in control.tests:
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}(" in (ROOT / "tests" / file).read_text("utf-8")


def test_controls_bite() -> None:
    command = [sys.executable, "-m", "tests.controls", *QUICK]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(" bites$", done.stdout, re.MULTILINE)) >= len(QUICK)
