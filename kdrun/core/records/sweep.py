"""sweep.json: how a sweep was started, and the jobs of the sweep."""

from typing import Any, NotRequired, TypedDict

from kdrun.core.records.check import Count


class JobEntry(TypedDict):
    """A job of the sweep; `SweepJob` describes the keys."""

    number: int
    folder: str
    words: list[str]
    differs: dict[str, Any]
    bars: NotRequired[list[float | None]]


class SearchRecord(TypedDict):
    """The ranges and settings of a search; `Search` describes the keys."""

    ranges: dict[str, str]
    words: list[str]
    trials: Count
    prune: bool
    seed: Count


class SweepIndex(TypedDict):
    """The record of a sweep.

    Keys:
        format: the number of the file's format.
        command: the command line.
        words: the overrides of the command line.
        working_folder: the folder in which the command was typed.
        launcher: the overrides that choose the launcher.
        at_once: the number of jobs that run at the same time.
        jobs: the jobs, in the order of their numbers.
        search: the ranges and settings of a search; missing in other sweeps.
    """

    format: int
    command: str
    words: list[str]
    working_folder: str
    launcher: list[str]
    at_once: int
    jobs: list[JobEntry]
    search: NotRequired[SearchRecord]
