"""sweep.json: how a sweep was started, and its jobs."""

from typing import Any, NotRequired, TypedDict


class JobEntry(TypedDict):
    """A job of the sweep; see `SweepJob`."""

    number: int
    folder: str
    words: list[str]
    differs: dict[str, Any]
    bars: NotRequired[list[float | None]]


class SweepIndex(TypedDict):
    """A sweep.

    Keys:
        format: of the file.
        command: as it is typed.
        words: the overrides of the command line.
        working_folder: where the command was typed.
        launcher: overrides that choose the launcher.
        at_once: how many jobs run at the same time.
        jobs: in their order.
        search: ranges and settings of a search; missing in other sweeps.
    """

    format: int
    command: str
    words: list[str]
    working_folder: str
    launcher: list[str]
    at_once: int
    jobs: list[JobEntry]
    search: NotRequired[dict[str, Any]]
