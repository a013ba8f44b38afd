"""The metrics log is cut back, never torn, and always JSON."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kdrun.core import atomic
from kdrun.core.errors import DamagedFile, DiskFull
from kdrun.core.metrics_log import MetricsLog

APPEND = """
import sys
from pathlib import Path
from typing import Any
from kdrun.core.metrics_log import MetricsLog
log = MetricsLog(Path(sys.argv[1]))
for epoch in range(4):
    log.append({"stage": "teacher", "epoch": epoch, "step": 0, "split": "train"})
"""


def line(epoch: int = 0, **values: Any) -> dict[str, Any]:
    """A measurement."""
    return {"stage": "teacher", "epoch": epoch, "step": 0, "split": "train", **values}


@pytest.fixture
def log(tmp_path: Path) -> MetricsLog:
    return MetricsLog(tmp_path / "metrics.jsonl")


def test_records_come_back_as_they_went_in(log):
    records = [line(epoch, loss=epoch / 3) for epoch in range(5)]
    for record in records:
        log.append(record)
    assert log.read() == records
    assert log.offset == log.path.stat().st_size == log.sync()


def test_no_file_is_an_empty_log_and_reading_makes_none(log):
    assert (log.read(), log.offset, log.sync()) == ([], 0, 0)
    log.truncate(0)
    assert not log.path.exists()


def test_non_finite_numbers_become_null_and_are_named(log):
    lost = {"loss": math.nan, "terms": {"kd": math.inf, "ce": 1.0}, "sizes": [1.0, -math.inf]}
    record = line(**lost)
    log.append(record)
    assert "NaN" not in log.path.read_text()
    assert json.loads(log.path.read_text()) == line(
        loss=None,
        terms={"kd": None, "ce": 1.0},
        sizes=[1.0, None],
        nonfinite=["loss", "terms.kd", "sizes.1"],
    )
    assert math.isnan(record["loss"])


def test_truncate_cuts_back_to_an_offset(log):
    log.append(line(0))
    offset = log.offset
    log.append(line(1))
    log.truncate(offset)
    assert log.read() == [line(0)]
    log.append(line(2))
    assert log.read() == [line(0), line(2)]


def test_a_log_shorter_than_its_checkpoint_knew_is_damaged(log):
    log.append(line(0))
    with pytest.raises(
        DamagedFile, match=f"has {log.offset} bytes, but the checkpoint recorded 100"
    ):
        log.truncate(100)


def test_a_kill_in_a_line_loses_that_line_only_and_is_reported_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    environment = os.environ | {"KDRUN_FAULT": "metrics-half:3"}
    command = [sys.executable, "-c", APPEND, str(path)]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(path.read_bytes().splitlines()[-1])

    told: list[str] = []
    log = MetricsLog(path, told.append)
    assert log.read() == [line(0), line(1)]
    log.append(line(2))
    log.truncate(log.offset)
    log.append(line(3))
    assert log.read() == [line(epoch) for epoch in range(4)]
    assert told == ["metrics.jsonl: dropped a torn last line of 31 bytes"]


def test_a_bad_line_in_the_middle_is_damage(log):
    whole = json.dumps(line())
    log.path.write_text(f'{whole}\n{{"epo\n{whole}\n')
    with pytest.raises(DamagedFile, match="line 2 of"):
        log.read()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"epoch": "1"}, "'1' for 'epoch', not a whole number"),
        ({"split": "other"}, "'other' for 'split', not 'train' or 'validation'"),
    ],
)
def test_a_line_that_is_no_measurement_is_damage(log, values, reason):
    log.path.write_text(f"{json.dumps(line())}\n{json.dumps({**line(), **values})}\n")
    with pytest.raises(DamagedFile, match=f"metrics.jsonl:2' has {reason}"):
        log.read()


def test_a_full_disk_is_a_sentence(log, monkeypatch):
    full = Path("/dev/full")
    monkeypatch.setattr("kdrun.core.metrics_log.open_in_place", lambda _, mode: full.open(mode))
    with pytest.raises(DiskFull, match="disk full: need"):
        log.append(line(0))


def test_a_disk_that_fills_in_a_line_leaves_the_lines_before(log, monkeypatch):
    log.append(line(0))
    atomic._passes.clear()
    monkeypatch.setenv("KDRUN_FAULT", "metrics-half:1:enospc")
    with pytest.raises(DiskFull):
        log.append(line(1))
    assert MetricsLog(log.path).read() == [line(0)]
