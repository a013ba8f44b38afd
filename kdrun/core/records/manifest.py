"""run.json: how a run was started, and how it ended."""

from typing import Any, TypedDict


class StageEntry(TypedDict):
    """A stage of the run.

    Keys:
        fingerprint: the fingerprint of its artefact; None if the stage has none.
        seconds: how long the stage took, with the time before interruptions.
        from_store: whether the artefact was already in the store.
    """

    fingerprint: str | None
    seconds: float
    from_store: bool


class Environment(TypedDict, total=False):
    """Versions and machine of a run.

    Keys:
        python: the version of Python.
        kdrun: the version of kdrun.
        packages: name of each package that computes -> its version.
        platform: the operating system.
        processor: the kind of processor.
        instructions: the CPU instructions that compute; missing in older files.
        threads: the number of CPU threads; missing in older files.
        device: the name of the device.
        git_commit: the commit of kdrun's code; None if it is no checkout.
    """

    python: str
    kdrun: str
    packages: dict[str, str]
    platform: str
    processor: str
    instructions: str
    threads: int
    device: str
    git_commit: str | None


class Manifest(TypedDict, total=False):
    """The record of a run; keys are added while the run goes on.

    Keys:
        format: the number of the file's format.
        status: running, finished, failed, interrupted or pruned.
        config: the resolved config; missing in older files.
        started: date and time of the start, ISO 8601.
        command: the command line.
        path: the absolute path of the run's folder; missing in older files.
        working_folder: the folder in which the command was typed; missing in older files.
        error: the first line of the error that ended the run; None without one.
        seed: the seed of everything random.
        tags: the tags in the config.
        name: the name of the run.
        hardware: device, precision and threads, with the reasons for them.
        environment: versions, platform and device; missing in older files.
        data: name of each dataset of the run -> its digest; missing in older files.
        plugins: name of each plugin in use -> the hash of its code; None or missing if the run
            began with an older kdrun.
        revisions: what computes other values than kdrun 0.1.0 did with this config -> its revision;
            missing in older files.
        inexact: reasons why another run of the same config may not be bit-identical.
        stages: name -> record of the stage, in the order of the stages.
        sums: file with results -> its SHA-256, of a finished run; missing in older files.
        ended: date and time of the end, ISO 8601.
        seconds: how long the run took, with the time before interruptions.
        peak_memory: most bytes of the device's memory that were in use; None on a CPU.
    """

    format: int
    status: str
    config: dict[str, Any] | None
    started: str
    command: str
    path: str
    working_folder: str
    error: str | None
    seed: int
    tags: list[str]
    name: str
    hardware: str
    environment: Environment
    data: dict[str, str]
    plugins: dict[str, str] | None
    revisions: dict[str, int]
    inexact: list[str]
    stages: dict[str, StageEntry]
    sums: dict[str, str]
    ended: str
    seconds: float
    peak_memory: int | None
