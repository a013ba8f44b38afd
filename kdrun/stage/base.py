"""The interface of a stage, and the context in which it runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kdrun.core.config import Config, Network
from kdrun.core.screen import Screen
from kdrun.dataset.data import Data
from kdrun.engine.training_spec import Runtime
from kdrun.stage.artefact import Artefact

MAIN = "main"  # the key of the run's main dataset, on which the student is tested
# Keys of a stage's identity that a resumed run may change, though it is not exact then.
MACHINE = ("torch", "threads")


@dataclass(frozen=True)
class StageContext:
    """All that a stage needs from its run.

    Attributes:
        config: the config of the run.
        data: the splits that the stage uses.
        runtime: device, seed, display and signals.
        artefacts: the artefacts of earlier stages, by stage name.
        training: the fingerprint of the stage without `MACHINE`, which its checkpoints carry.
    """

    config: Config
    data: Data
    runtime: Runtime
    artefacts: Mapping[str, Artefact]
    training: str = ""

    @property
    def screen(self) -> Screen:
        """Where messages to the user are printed."""
        return self.runtime.display.screen


@dataclass(frozen=True)
class StageInfo:
    """The name of a stage, its folder, and what it reads.

    Attributes:
        name: teacher, alone, distill, ...
        folder: its folder's name in the run folder.
        label: the row of its model in the results table; empty if it is not shown.
        shared: whether runs share its artefact through the store.
        reads: names of the stages whose artefacts it reads.
        data: the name of the dataset that it uses, one of the scheme's.
        baseline: the row of the model that its model is made from and compared with; or empty.
    """

    name: str
    folder: str
    label: str
    shared: bool
    reads: tuple[str, ...] = ()
    data: str = MAIN
    baseline: str = ""


class Stage(Protocol):
    """A stage of a run; it makes one artefact."""

    @property
    def info(self) -> StageInfo: ...

    @property
    def role(self) -> str:
        """The config key of the network that the stage makes."""
        ...

    @property
    def network(self) -> Network:
        """The config of the network that the stage makes."""
        ...

    def identity(self, config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
        """Return all that determines the artefact, except for the artefacts that it reads."""
        ...

    def execute(self, context: StageContext, folder: Path, fingerprint: str) -> None:
        """Make the artefact in `folder`, continuing from the files of an interrupted run."""
        ...
