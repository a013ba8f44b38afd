"""What the checks of networks share: the config, the data, and the networks that they build."""

from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property

from torch import nn

from kdrun.core.config import Config, Network
from kdrun.core.faults import Faults
from kdrun.core.types import DataInfo
from kdrun.dataset.data import Data
from kdrun.scheme.base import teacher_recipe
from kdrun.scheme.table import make_scheme
from kdrun.stage.base import MAIN, Stage

ROLES = {"teacher", "student"}
RECIPES = {"recipe", "teacher", "teacher.recipe"}


def sound_networks(config: Config, sound: Set[str]) -> dict[str, Network]:
    """Return the scheme's networks by role; if the scheme has faults, teacher and student alone.

    Args:
        config: the typed config; only its sound keys are read.
        sound: the top-level config keys without a fault.
    """
    if sound >= {*ROLES, "scheme"}:
        return make_scheme(config.scheme).networks(config)
    return {role: getattr(config, role) for role in ("teacher", "student") if role in sound}


@dataclass
class BuiltRun:
    """A run that is checked before it starts.

    Attributes:
        config: the typed config; only its sound keys are read.
        info: the dataset's classes, image size and number of samples.
        datasets: the datasets that the scheme makes, by name; empty if they could not be read.
        sound: the top-level config keys without a fault.
        faults: the faults that the checks of networks have found so far.
        modules: the networks that could be built, by role: `teacher`, `student`,
            `scheme.peers.0`.
        unfit: the roles of networks that do not fit the data, so that no further check uses them.
        stages: the scheme's stages; empty until they can be planned.
        notes: sentences that the user reads before the run starts.
    """

    config: Config
    info: DataInfo
    datasets: Mapping[str, Data]
    sound: set[str]
    faults: Faults = field(default_factory=Faults)
    modules: dict[str, nn.Module] = field(default_factory=dict)
    unfit: set[str] = field(default_factory=set)
    stages: list[Stage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @cached_property
    def data(self) -> Mapping[str, Data]:
        """The dataset of each network, by role; empty if it or the scheme has faults."""
        if not self.datasets or not self.sound >= {*ROLES, "scheme"}:
            return {}
        scheme, main = make_scheme(self.config.scheme), self.datasets[MAIN]
        roles = scheme.networks(self.config)
        return defaultdict(
            lambda: main, {role: self.datasets[scheme.data_of(role)] for role in roles}
        )

    def fewest_samples(self, role: str) -> int:
        """Return the size of the smallest part of a batch that a training step computes at once.

        Args:
            role: `teacher` or `student`.

        Returns:
            The number of samples; 0 if it is unknown or the network does not fit the data.
        """
        if not self.data or role in self.unfit or not self.sound >= RECIPES:
            return 0
        recipe = teacher_recipe(self.config) if role == "teacher" else self.config.recipe
        labeled = int(self.data[role].train.has_label.sum())
        return min(recipe.batch_size, labeled) // recipe.accumulate
