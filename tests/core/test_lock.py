"""One writer for a folder, whoever dies."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kdrun.core.errors import DiskFull, RunInUse, UserError
from kdrun.core.lock import FolderLock

HOLD = """
import sys, time
from pathlib import Path
from kdrun.core.lock import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""
FORK_AND_HOLD = """
import os, sys, time
from pathlib import Path
from kdrun.core.lock import FolderLock
lock = FolderLock(Path(sys.argv[1])).acquire(wait=False)
if os.fork() == 0:
    # Told by the worker itself: by now it has given the open file back.
    print(os.getpid(), flush=True)
    time.sleep(60)
sys.stdin.readline()
"""


@contextmanager
def started(script: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_the_second_process_is_told_who_holds_the_folder(tmp_path):
    with (
        started(HOLD, tmp_path) as (owner, _),
        pytest.raises(RunInUse, match=f"in use by process {owner.pid}"),
    ):
        FolderLock(tmp_path).acquire(wait=False)


def test_a_killed_owner_frees_the_folder_at_once(tmp_path):
    with started(HOLD, tmp_path) as (owner, _):
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        with FolderLock(tmp_path):
            assert (tmp_path / ".lock").read_text().split()[0] == str(os.getpid())


def test_a_forked_worker_does_not_keep_the_lock_of_a_killed_owner(tmp_path):
    with started(FORK_AND_HOLD, tmp_path) as (owner, worker):
        with pytest.raises(RunInUse):
            FolderLock(tmp_path).acquire(wait=False)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        try:
            FolderLock(tmp_path).acquire(wait=False).release()
        finally:
            os.kill(int(worker), signal.SIGKILL)


def test_waiting_ends_when_the_owner_does(tmp_path):
    told: list[str] = []
    with started(HOLD, tmp_path) as (owner, _):
        threading.Timer(0.2, owner.terminate).start()
        start = time.monotonic()
        FolderLock(tmp_path).acquire(wait=True, on_wait=told.append).release()
        assert time.monotonic() - start > 0.1
    assert told == [f"waiting for {str(tmp_path)!r}, in use by process {owner.pid}"]


def test_a_free_folder_needs_no_waiting(tmp_path):
    told: list[str] = []
    FolderLock(tmp_path).acquire(wait=True, on_wait=told.append).release()
    assert told == []


def test_release_frees_the_folder_and_may_come_twice(tmp_path):
    lock = FolderLock(tmp_path).acquire(wait=False)
    with pytest.raises(RunInUse):
        FolderLock(tmp_path).acquire(wait=False)
    lock.release()
    lock.release()
    assert (tmp_path / ".lock").read_text() == ""
    with FolderLock(tmp_path), pytest.raises(RunInUse):
        FolderLock(tmp_path).acquire(wait=False)
    with FolderLock(tmp_path):
        pass


def test_a_refused_lock_leaves_no_open_file(tmp_path):
    with FolderLock(tmp_path):
        with pytest.raises(RunInUse):
            FolderLock(tmp_path).acquire(wait=False)
        opened = [os.path.realpath(file) for file in Path("/proc/self/fd").iterdir()]
        assert opened.count(str(tmp_path / ".lock")) == 1


def test_an_owner_on_another_machine_is_named(tmp_path):
    with FolderLock(tmp_path):
        (tmp_path / ".lock").write_text("12 elsewhere\n")
        with pytest.raises(RunInUse, match="process 12 on elsewhere"):
            FolderLock(tmp_path).acquire(wait=False)


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    with pytest.raises(DiskFull, match="cannot write"):
        FolderLock(tmp_path / "none").acquire(wait=False)


def test_a_file_system_without_locks_is_a_sentence(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match="has no locks"):
        FolderLock(tmp_path).acquire(wait=False)
