"""Joins networks that were trained separately into a committee, which averages their outputs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdrun.core.config import Config, Network
from kdrun.core.records.artefact import ArtefactRecord
from kdrun.dataset.data import Data
from kdrun.engine.evaluate import score
from kdrun.engine.training_spec import Runtime
from kdrun.engine.weights import copy_weights
from kdrun.model.committee import Committee
from kdrun.stage.artefact import describe_data, write_artefact
from kdrun.stage.base import Stage, StageContext, StageInfo


@dataclass(frozen=True)
class Gather:
    """Make a committee of the networks of several stages; see `Stage`.

    Attributes:
        info: the name of the stage and its folder; it reads the members.
        members: the stages whose networks are gathered.
        role: the config key of the members' networks.
    """

    info: StageInfo
    members: tuple[Stage, ...]
    role: str

    @property
    def network(self) -> Network:
        return committee_of([member.network for member in self.members])

    def identity(self, config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
        return {
            "stage": "gather",
            "model": self.network.node,
            "data": data.digest,
            "precision": runtime.hardware.precision,
        }

    def execute(self, context: StageContext, folder: Path, fingerprint: str) -> None:
        names = [member.info.name for member in self.members]
        committee = Committee(context.artefacts[name].network() for name in names)
        hardware = context.runtime.hardware
        committee.to(hardware.device)
        scores = score(
            committee, context.data.validation, hardware, context.config.evaluate.batch_size
        )
        record: ArtefactRecord = {
            "fingerprint": fingerprint,
            "stage": self.info.name,
            "model": self.network.node,
            "data": describe_data(context.data),
            "source": f"gathered from {', '.join(names)}",
            "epochs": None,
            "validation": dict(scores),
            "seconds": None,
            "notes": [f"predicts the mean of the probabilities of {', '.join(names)}"],
        }
        write_artefact(folder, record, copy_weights(committee))


def committee_of(members: list[Network]) -> Network:
    """Return the config of a committee, which uses the taps of its members."""
    return Network.model_validate(
        {
            "name": "committee",
            "taps": {"stages": None, "embedding": None, "logits": None},
            "members": [member.node for member in members],
        }
    )
