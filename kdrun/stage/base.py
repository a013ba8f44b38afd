"""What every stage is, and what it works with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kdrun.core.config import Config, Network
from kdrun.core.screen import Screen
from kdrun.dataset.data import Data
from kdrun.engine.training_spec import Runtime
from kdrun.stage.artefact import Artefact

MAIN = "main"  # the dataset that the student is tested on


@dataclass(frozen=True)
class StageContext:
    """What a stage works with.

    Attributes:
        config: the run's.
        data: the splits that the stage works with.
        runtime: device, seed, display.
        artefacts: what the stages before left, by stage name.
    """

    config: Config
    data: Data
    runtime: Runtime
    artefacts: Mapping[str, Artefact]

    @property
    def screen(self) -> Screen:
        """Where the user reads."""
        return self.runtime.display.screen


@dataclass(frozen=True)
class StageInfo:
    """Where a stage stands in a run.

    Attributes:
        name: teacher, alone, distill, ...
        folder: its folder's name in the run folder.
        label: what its model is called in the table; empty for one that is not shown.
        shared: whether runs share its artefact through the store: those that others start from.
        reads: names of the stages whose artefacts it takes.
        data: which of the scheme's datasets it works with.
        baseline: the row that its own is held against: that of the model it was made of.
    """

    name: str
    folder: str
    label: str
    shared: bool
    reads: tuple[str, ...] = ()
    data: str = MAIN
    baseline: str = ""


class Stage(Protocol):
    """One step of a run with an artefact of its own."""

    @property
    def info(self) -> StageInfo: ...

    @property
    def role(self) -> str:
        """The place in the config of the network that the stage leaves."""
        ...

    @property
    def network(self) -> Network:
        """The config of the network that the stage leaves."""
        ...

    def identity(self, config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
        """All that determines the artefact, beside what the stage reads."""
        ...

    def execute(self, context: StageContext, folder: Path, fingerprint: str) -> None:
        """Leave the artefact in `folder`; go on from what an interrupted try left there."""
        ...
