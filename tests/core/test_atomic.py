"""Each write point struck in a child process; an in-place writer shows that the strikes bite."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kdrun.core import atomic
from kdrun.core.errors import DiskFull

OLD = b"old " * 5_000
NEW = b"new " * 5_000

WRITE = """
import sys
from pathlib import Path
from kdrun.core.atomic import write_bytes
write_bytes(Path(sys.argv[1]), b"new " * 5_000)
"""
IN_PLACE = """
import sys
from pathlib import Path
from kdrun.core import atomic
with Path(sys.argv[1]).open("wb") as file:
    atomic._fill(file, (b"new " * 5_000,))
"""


def run(script: str, path: Path, fault: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"KDRUN_FAULT": fault}
    command = [sys.executable, "-c", script, str(path)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def strike(monkeypatch: pytest.MonkeyPatch, plan: str) -> None:
    atomic._passes.clear()
    monkeypatch.setenv("KDRUN_FAULT", plan)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    return path


@pytest.mark.parametrize(
    ("point", "found", "leftovers"),
    [
        ("before-temp", OLD, 0),
        ("half-temp", OLD, 1),
        ("before-fsync", OLD, 1),
        ("before-rename", OLD, 1),
        ("after-rename", NEW, 0),
    ],
)
def test_a_kill_leaves_the_old_file_or_the_new(path, point, found, leftovers):
    assert run(WRITE, path, f"{point}:1").returncode == -signal.SIGKILL
    assert path.read_bytes() == found
    assert len(list(path.parent.iterdir())) == 1 + leftovers

    atomic.write_bytes(path, NEW)
    assert path.read_bytes() == NEW
    assert [file.name for file in path.parent.iterdir()] == ["file.bin"]


def test_a_kill_tears_a_file_that_is_written_in_place(path):
    assert run(IN_PLACE, path, "half-temp:1").returncode == -signal.SIGKILL
    assert path.read_bytes() not in (OLD, NEW)


def test_the_fault_strikes_at_the_passage_that_is_named(path):
    twice = WRITE + WRITE
    assert run(twice, path, "before-rename:2").returncode == -signal.SIGKILL
    assert path.read_bytes() == NEW
    assert run(WRITE, path, "before-rename:2").returncode == 0
    assert run(WRITE, path, "elsewhere:1").returncode == 0
    assert run(WRITE, path, "before-rename:1:term").returncode == -signal.SIGTERM


def test_a_living_writer_keeps_its_temporary_file(path):
    living = path.with_name(f".{path.name}.{os.getppid()}.tmp")
    living.touch()
    atomic.write_bytes(path, NEW)
    assert living.exists()


@pytest.mark.parametrize("point", ["before-temp", "half-temp", "before-fsync", "before-rename"])
def test_a_full_disk_keeps_the_old_file_and_says_what_it_needs(path, point, monkeypatch):
    strike(monkeypatch, f"{point}:1:enospc")
    with pytest.raises(DiskFull, match=r"disk full: need 2\.5 MB .*have [\d.]+ [MG]B") as caught:
        atomic.write_bytes(path, bytes(2_500_000))
    assert caught.value.status == 4
    assert path.read_bytes() == OLD
    assert [file.name for file in path.parent.iterdir()] == ["file.bin"]


def test_any_error_within_leaves_no_temporary_file(path, monkeypatch):
    strike(monkeypatch, "half-temp:1:raise")
    with pytest.raises(RuntimeError, match="half-temp"):
        atomic.write_bytes(path, NEW)
    assert [file.name for file in path.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_refuses_is_named(path, number, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DiskFull, match=r"cannot write .*file\.bin'"):
        atomic.write_bytes(path, NEW)


def test_a_missing_folder_is_a_sentence(tmp_path):
    with pytest.raises(DiskFull, match="cannot write"):
        atomic.write_text(tmp_path / "none" / "file", "text")


def test_parts_are_written_in_order(path):
    atomic.write_bytes(path, b"one, ", memoryview(b"two, "), b"three")
    assert path.read_bytes() == b"one, two, three"


def test_the_file_before_stays_under_its_other_name(path, tmp_path):
    previous = tmp_path / "previous.bin"
    for number in range(3):
        atomic.write_bytes(path, str(number).encode(), previous=previous)
    assert (path.read_bytes(), previous.read_bytes()) == (b"2", b"1")


def test_the_first_write_has_no_file_before_it(tmp_path):
    atomic.write_bytes(tmp_path / "a", b"first", previous=tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_link_shares_the_bytes(path, tmp_path):
    target = tmp_path / "linked.bin"
    target.write_bytes(b"something else")
    atomic.link_or_copy(path, target)
    assert target.samefile(path)
    atomic.link_or_copy(path, target)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file.bin", "linked.bin"]


def test_a_copy_takes_the_place_of_a_link_that_the_disk_refuses(path, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "copied.bin"
    atomic.link_or_copy(path, target)
    assert target.read_bytes() == OLD
    assert not target.samefile(path)
    assert len(list(tmp_path.iterdir())) == 2
