"""Takes one network out of a committee that was trained together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from kdrun import model
from kdrun.core.config import Config, Network
from kdrun.core.records.artefact import ArtefactRecord, some_keys
from kdrun.dataset.data import Data
from kdrun.engine.evaluate import score
from kdrun.engine.training_spec import Runtime
from kdrun.model.committee import Committee
from kdrun.stage.artefact import write_artefact
from kdrun.stage.base import StageContext, StageInfo

# The entries that a member's record copies from the record of the committee.
_COMMON = (
    "data",
    "epochs",
    "first_epochs",
    "steps",
    "epochs_planned",
    "select",
    "best_epoch",
    "seconds",
    "images_per_second",
    "stopped",
    "hardware",
)


@dataclass(frozen=True)
class Extract:
    """Make an artefact of one member of a trained committee; see `Stage`.

    Attributes:
        info: the name of the stage and its folder; it reads only the committee's stage.
        role: the config key of the member.
        network: the config of the member.
        number: the index of the member in the committee, from 0.
    """

    info: StageInfo
    role: str
    network: Network
    number: int

    def identity(self, config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
        return {
            "stage": "extract",
            "model": self.network.node,
            "member": self.number,
            "data": data.digest,
            "precision": runtime.hardware.precision,
        }

    def execute(self, context: StageContext, folder: Path, fingerprint: str) -> None:
        (source,) = self.info.reads
        committee, hardware = context.artefacts[source], context.runtime.hardware
        weights = self._member_weights(committee.weights())
        network = model.build(self.network.node, context.data.info)
        network.load_state_dict(weights)
        network.to(hardware.device)
        scores = score(
            network, context.data.validation, hardware, context.config.evaluate.batch_size
        )
        record: ArtefactRecord = {
            **some_keys(committee.record, _COMMON),
            "fingerprint": fingerprint,
            "stage": self.info.name,
            "model": self.network.node,
            "source": f"trained in {source!r}, with its peers",
            "validation": dict(scores),
            "notes": [f"epochs and seconds are those of all networks in {source!r} together"],
        }
        best = self._member_weights(committee.weights(best=True)) if committee.has_best else None
        write_artefact(folder, record, weights, best)

    def _member_weights(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        prefix = f"{Committee.path_of(self.number)}."
        return {
            name.removeprefix(prefix): value
            for name, value in weights.items()
            if name.startswith(prefix)
        }
