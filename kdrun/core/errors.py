"""What can go wrong, as sentences for the user and exit statuses for the shell."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass


class KdrunError(Exception):
    """A failure that the user can understand; printed without a traceback.

    The first line says what was asked and found, the others how to mend it.
    """

    status = 1
    resumable = True  # whether the same run may get further when it is gone on with

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class UserError(KdrunError):
    """A mistake in the command, the config or its surroundings, found before any work."""

    status = 2


class DiskFull(KdrunError):
    """The disk holds no more, or can't be written; the last checkpoint stays good."""

    status = 4


class CannotChange(UserError):
    """A step of compression that can't be done to what was trained; it would again."""

    resumable = False


class RunInUse(UserError):
    """Another process is writing this folder."""


class NonFinite(KdrunError):
    """A loss term, a gradient or a weight became NaN or infinite; it would again there."""

    status = 6
    resumable = False


class OutOfMemory(KdrunError):
    """The device's memory does not hold this batch."""

    status = 7


class DamagedFile(KdrunError):
    """A checkpoint or artefact whose bytes are not what was written."""

    status = 9


class BadSample(KdrunError):
    """A file of the dataset that turned out to be of no use in the middle of a run."""


class ExportRejected(KdrunError):
    """A written file that doesn't answer as the network that it was made of; it would again."""

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
    """One mistake of a config: `where` is its dotted key, `what` the rest of the sentence."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class ConfigError(UserError):
    """All the mistakes of one config, found together."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(dict.fromkeys(faults))
        if len(self.faults) == 1:
            super().__init__(str(self.faults[0]))
        else:
            head = f"the config has {len(self.faults)} faults"
            # Deeper than the faults themselves: what mends one must not read as the next.
            super().__init__(head, *(str(fault).replace("\n", "\n  ") for fault in self.faults))


def shell_command(verb: str, path: object) -> str:
    """The command of a verb and a path as it is typed: `kdrun resume 'a place/run'`."""
    return shlex.join(["kdrun", verb, str(path)])
