"""Errors, each with a message for the user and an exit status for the shell.

`exit_status.py` has the table of the statuses.
"""

import shlex
import signal
from collections.abc import Sequence
from dataclasses import dataclass


class KdrunError(Exception):
    """A failure that the message explains, so that it is printed without a traceback.

    Args:
        lines: the first line says what was expected and what was found, the others what to do.
    """

    status = 1
    resumable = True  # whether the run may get further when it is resumed

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class UserError(KdrunError):
    """A mistake in the command, in the config or on the machine, found before any work."""

    status = 2


class DiskFull(KdrunError):
    """The disk is full or cannot be written; the last checkpoint stays valid."""

    status = 4


class CannotChange(UserError):
    """A step of compression cannot change the trained network; a resumed run would fail again."""

    resumable = False


class RunInUse(UserError):
    """Another process writes this folder."""

    status = 5


class NonFinite(KdrunError):
    """A loss term, a gradient or a weight is not finite; a resumed run would fail again."""

    status = 6
    resumable = False


class OutOfMemory(KdrunError):
    """The memory of the device is too small for the batch."""

    status = 7


class DamagedFile(KdrunError):
    """A file of a run or sweep is not what kdrun writes: other bytes, missing keys, wrong types."""

    status = 9
    resumable = False  # resumed with the same file, a run would fail again


class TooLarge(DamagedFile):
    """A file is larger than anything that kdrun reads there."""

    status = 3


class TooManyJobs(UserError):
    """The settings of a sweep make more jobs than a sweep may have."""

    status = 3


class BadSample(KdrunError):
    """A file of the dataset turned out to be unusable in the middle of a run."""


class ExportRejected(KdrunError):
    """An exported file gives other outputs than its network; a resumed run would fail again."""

    resumable = False


class TrialStopped(KdrunError):
    """A search ended this run early, as earlier trials were better; it is no failure."""

    resumable = False


class Interrupted(KdrunError):
    """The user or the system asked the run to stop; it can be resumed.

    Args:
        signal_number: the signal; the exit status is 128 plus it, as shells expect.
    """

    def __init__(self, signal_number: int, *lines: str) -> None:
        super().__init__(*lines)
        self.status = 128 + signal_number


@dataclass(frozen=True)
class Fault:
    """One mistake in a config.

    Attributes:
        where: the dotted config key with the mistake; empty if `what` is a full sentence.
        what: what is wrong, which continues `where: ` in the message.
        status: the exit status of a command that has faults of this status alone.
    """

    where: str
    what: str
    status: int = UserError.status

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class ConfigError(UserError):
    """All mistakes of one config."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(dict.fromkeys(faults))
        statuses = {fault.status for fault in self.faults}
        self.status = statuses.pop() if len(statuses) == 1 else UserError.status
        if len(self.faults) == 1:
            super().__init__(str(self.faults[0]))
        else:
            head = f"the config has {len(self.faults)} faults"
            # Further lines of a fault are indented, so that none reads as the next fault.
            super().__init__(head, *(str(fault).replace("\n", "\n  ") for fault in self.faults))


def stop_status(error: KeyboardInterrupt) -> int:
    """Return the exit status of a stop at once; it is Python's own Ctrl-C, or names a signal."""
    return 128 + (error.args[0] if error.args else signal.SIGINT)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message without its full stop, or else its class name."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def shell_command(verb: str, path: object) -> str:
    """Return a kdrun command with the path quoted for a shell: `kdrun resume 'my runs/first'`."""
    return shlex.join(["kdrun", verb, str(path)])
