"""The plan of a run: its config, checked, with the data and the stages made from it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kdrun.core.config import Config
from kdrun.core.device import Hardware
from kdrun.core.plugin_code import PluginCode, words_of
from kdrun.core.screen import Screen
from kdrun.core.store import fingerprint
from kdrun.dataset.data import Data, Split
from kdrun.engine.display import Display
from kdrun.engine.interrupt import Interrupt
from kdrun.engine.training_spec import Runtime
from kdrun.engine.watch import Watch
from kdrun.stage.base import MAIN, Stage
from kdrun.stage.train import Train


@dataclass(frozen=True)
class Plan:
    """A checked config, with the data and stages that were made from it.

    Attributes:
        config: the typed config.
        tree: the config as a plain tree, as it is written to the run folder. It has the device,
            the precision and the threads that were chosen, and a resumed run uses the same.
        datasets: the splits, by name; the student is tested on `main`.
        hardware: device, precision, threads.
        stages: the stages in order.
        notes: sentences for the user, such as the plugins in use.
        plugins: the code of the plugins that the config uses, by the name of the plugin.
        thresholds: for a trial of a search, the validation score to reach after each epoch.
    """

    config: Config
    tree: Mapping[str, Any]
    datasets: Mapping[str, Data]
    hardware: Hardware
    stages: list[Stage]
    notes: list[str]
    plugins: Mapping[str, PluginCode] = field(default_factory=dict)
    thresholds: Sequence[float | None] = ()

    @property
    def data(self) -> Data:
        """The data that the student is tested on."""
        return self.datasets[MAIN]

    @property
    def domains(self) -> dict[str, Split]:
        """Further test splits, by the name of their domain."""
        return {data.domain: data.test for data in self.datasets.values() if data.domain}

    def data_of(self, stage: Stage) -> Data:
        """Return the data that a stage uses."""
        return self.datasets[stage.info.data]

    def runtime(self, screen: Screen, interrupt: Interrupt, watch: Watch) -> Runtime:
        return Runtime(
            seed=self.config.seed,
            hardware=self.hardware,
            compile=self.config.compile,
            checkpoint_seconds=self.config.checkpoint_seconds,
            display=Display(screen),
            interrupt=interrupt,
            watch=watch,
        )

    def fingerprints(self, runtime: Runtime, without: Collection[str] = ()) -> dict[str, str]:
        """Return the fingerprint of each stage, which depends on the stages that it reads.

        Args:
            runtime: device, seed, precision.
            without: keys that are left out of the stages' identities.
        """
        fingerprints: dict[str, str] = {}
        for stage in self.stages:
            identity = stage.identity(self.config, self.data_of(stage), runtime)
            identity = {key: value for key, value in identity.items() if key not in without}
            code = self._plugin_code(identity)
            fingerprints[stage.info.name] = fingerprint(
                {
                    **identity,
                    **({"plugins": code} if code else {}),
                    "reads": {name: fingerprints[name] for name in stage.info.reads},
                }
            )
        return fingerprints

    @property
    def revisions(self) -> dict[str, int]:
        """What computes other values than before with the same config -> its revision."""
        return {
            name: revision
            for stage in self.stages
            if isinstance(stage, Train)
            for name, revision in stage.revisions(self.data_of(stage)).items()
        }

    def _plugin_code(self, identity: Mapping[str, Any]) -> list[str]:
        """Return the hashes of the plugins that take part in a stage.

        A component takes part if its name is a word of the stage's identity; the dataset and the
        scheme take part in every stage.
        """
        words = words_of([identity, self.config.dataset["name"], self.config.scheme["name"]])
        return sorted({code.digest for code in self.plugins.values() if code.components & words})
