"""Locks a folder for one writer; the kernel releases the lock when its process dies."""

import fcntl
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakSet

from kdrun.core import limits
from kdrun.core.atomic import explain_write_errors, open_regular
from kdrun.core.errors import RunInUse, UserError
from kdrun.core.reading import open_record, read_all

_POLL = 0.2  # seconds between two attempts to take a lock that another process holds


class FolderLock:
    """A lock that one process at a time can hold on a folder; a context manager.

    The lock file stays when the lock is released: if it were deleted, two processes could lock
    two files of the same name. It names the process that holds the lock, for messages alone.

    Args:
        folder: a folder that exists.
        kind: the kind of folder, for the message that it is in use.
    """

    def __init__(self, folder: Path, kind: str = "run folder") -> None:
        self.folder, self.kind = folder, kind
        self._path = folder / ".lock"
        self._descriptor: int | None = None

    def acquire(
        self,
        wait: bool,
        on_wait: Callable[[str], None] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Self:
        """Take the lock.

        Args:
            wait: wait until the lock is free; otherwise give up at once.
            on_wait: called once before waiting, with a sentence that says who holds the lock.
            meanwhile: called a few times a second while waiting; its errors end the wait.

        Raises:
            RunInUse: another process holds the lock, and `wait` is false.
            DiskFull: the lock file can't be written.
            UserError: this file system has no locks, or the lock file is a link.
        """
        with explain_write_errors(self._path):
            descriptor = open_regular(self._path, os.O_RDWR | os.O_CREAT)
        self._descriptor = descriptor
        _held.add(self)
        try:
            self._lock(descriptor, wait, on_wait, meanwhile)
            with explain_write_errors(self._path):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
        except BaseException:
            self._close()
            raise
        return self

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
        self._close()

    def is_held(self) -> bool:
        """Return whether another process holds the lock now."""
        try:
            with open_record(self._path) as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def last_taken(self) -> int:
        """Return when a process last took or released the lock, in nanoseconds; 0 if none did."""
        try:
            return self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def __enter__(self) -> Self:
        return self if self._descriptor is not None else self.acquire(wait=False)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def _lock(
        self,
        descriptor: int,
        wait: bool,
        on_wait: Callable[[str], None] | None,
        meanwhile: Callable[[], None] | None,
    ) -> None:
        if not self._try_lock(descriptor):
            if not wait:
                raise RunInUse(
                    f"{self.kind} {str(self.folder)!r} is in use by {self._holder()}.",
                    "  wait until it ends, or stop it first",
                )
            if on_wait is not None:
                on_wait(f"waiting for {str(self.folder)!r}, in use by {self._holder()}")
            # Poll: a signal handler that only sets a flag would not end a wait inside flock.
            while not self._try_lock(descriptor):
                if meanwhile is not None:
                    meanwhile()
                time.sleep(_POLL)

    def _try_lock(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise UserError(
                f"the file system of {str(self.folder)!r} has no locks: {error.strerror}.",
                "  choose an output_root on a disk of this machine",
            ) from error
        return True

    def _holder(self) -> str:
        """Return the process that holds the lock, by the content of the lock file."""
        content = read_all(open_record(self._path), limits.RECORD).decode().split()
        if len(content) != 2:
            return "another process"
        pid, host = content
        return f"process {pid}" if host == socket.gethostname() else f"process {pid} on {host}"

    def _close(self) -> None:
        """Close the lock file; that releases the lock unless a parent process has it open too."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


_held: WeakSet[FolderLock] = WeakSet()


def _close_in_child() -> None:
    """Close the lock files in a forked worker, so that it keeps no locks of a dead parent."""
    for lock in _held:
        lock._close()


os.register_at_fork(after_in_child=_close_in_child)
