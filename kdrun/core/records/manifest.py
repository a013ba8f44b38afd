"""run.json: how a run came about, and how it ended."""

from typing import Any, TypedDict


class StageEntry(TypedDict):
    """A stage of the run.

    Keys:
        fingerprint: of its artefact; None for a stage that leaves none.
        seconds: how long it took, over all interruptions.
        from_store: whether the artefact was in the store before.
    """

    fingerprint: str | None
    seconds: float
    from_store: bool


class Manifest(TypedDict, total=False):
    """A run; keys are added while it goes on.

    Keys:
        format: of the file.
        status: running, finished, failed, interrupted or pruned.
        config: resolved, as the run was started with; missing in older files.
        started: date and time, ISO 8601.
        command: as it is typed.
        path: the folder, absolute; missing in older files.
        working_folder: where the command was typed; missing in older files.
        error: the first line of what ended the run; None where nothing did.
        seed: of everything random.
        tags: of the config.
        name: what the run is called.
        hardware: device, precision and threads, with the reasons for them.
        environment: versions, platform and device; missing in older files.
        inexact: why another run of the same config may give other bits.
        stages: name -> how it went, in their order.
        ended: date and time, ISO 8601.
        seconds: how long the run took, over all interruptions.
        peak_memory: bytes of the device's memory; None on a CPU.
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
    environment: dict[str, Any]
    inexact: list[str]
    stages: dict[str, StageEntry]
    ended: str
    seconds: float
    peak_memory: int | None
