"""A teacher that is there already: from another run, or another project's checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

from torch import nn

from kdrun import model
from kdrun.core.config import Config, Network
from kdrun.core.errors import UserError
from kdrun.core.records.artefact import ArtefactRecord, DataRecord
from kdrun.core.store import RECORD
from kdrun.dataset.data import Data
from kdrun.engine.evaluate import score
from kdrun.engine.training_spec import Runtime
from kdrun.engine.weights import copy_weights
from kdrun.stage.artefact import Artefact, describe_data, read_artefact, write_artefact
from kdrun.stage.base import StageContext, StageInfo
from kdrun.stage.leakage import check_images, trained_on
from kdrun.stage.state_dict import fill, read_checkpoint


@dataclass(frozen=True)
class Take:
    """Take the teacher's weights as they are; see `Stage`.

    Attributes:
        info: where the stage stands.
        network: the teacher's part of the config.
        path: a checkpoint file, or the folder of an artefact.
        role: the network's place in the config.
    """

    info: StageInfo
    network: Network
    path: Path
    role: str = "teacher"

    def identity(self, config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
        source = self.path / RECORD if self.path.is_dir() else self.path
        with source.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        return {
            "stage": "take",
            "model": self.network.node,
            "file": digest,
            "data": data.digest,
            "precision": runtime.hardware.precision,
        }

    def execute(self, context: StageContext, folder: Path, fingerprint: str) -> None:
        network = load_teacher(self.network, self.path, context.data)
        known, warnings = None, []
        if self.path.is_dir():
            artefact = read_artefact(self.path)
            known, warnings = trained_on(artefact), check_images(artefact, context.data)
        source = Source(str(self.path), known, warnings)
        leave_as_is(context, folder, network, self.network, source, fingerprint)


@dataclass(frozen=True)
class Source:
    """Where weights come from that are not trained here.

    Attributes:
        name: a path, or what they are called.
        trained_on: the data that they were trained on, as a record has it; None if unknown.
        warnings: what the user should know of that data, in sentences.
    """

    name: str
    trained_on: DataRecord | None = None
    warnings: Sequence[str] = ()


def leave_as_is(
    context: StageContext,
    folder: Path,
    network: nn.Module,
    of: Network,
    source: Source,
    fingerprint: str,
) -> None:
    """Make an artefact of a network that needs no training, with its validation scores."""
    hardware = context.runtime.hardware
    network.to(hardware.device)
    scores = score(network, context.data.validation, hardware, context.config.evaluate.batch_size)
    record: ArtefactRecord = {
        "fingerprint": fingerprint,
        "stage": "teacher",
        "model": of.node,
        "data": describe_data(context.data),
        "trained_on": source.trained_on,
        "source": source.name,
        "epochs": None,
        "validation": dict(scores),
        "seconds": None,
        "notes": [f"taken from {source.name}, not trained here"],
        "warnings": list(source.warnings),
    }
    write_artefact(folder, record, copy_weights(network))


def load_teacher(network: Network, path: Path, data: Data) -> nn.Module:
    """Build the teacher and fill it, strictly, from an artefact or a checkpoint file.

    Raises:
        UserError: another architecture, other classes, another split or normalization of the
            same images, a damaged or unreadable file.
    """
    if path.is_dir():
        artefact = read_artefact(path)
        _check_same(network, artefact, data)
        weights = artefact.weights()
    else:
        weights = read_checkpoint(path)
    built = model.build(network.node, data.info)
    fill(built, weights, network.name, path)
    return built


def artefact_folder(path: Path) -> Path:
    """The teacher's artefact in a run folder, or the artefact folder that was named itself.

    Raises:
        UserError: neither is there.
    """
    for folder in (path, path / "teacher"):
        if (folder / RECORD).exists():
            return folder
    raise UserError(
        f"{str(path)!r} is no run folder with a finished teacher, nor an artefact.",
        "  the runs that are there: kdrun list runs",
    )


def _check_same(network: Network, artefact: Artefact, data: Data) -> None:
    found = artefact.record["model"]
    if found != network.node:
        keys = [key for key in found if found[key] != network.node.get(key) and key != "name"]
        words = [f"teacher={found['name']}", *(f"teacher.{key}={found[key]}" for key in keys)]
        other = "has other settings" if found["name"] == network.name else f"is {network.name!r}"
        raise UserError(
            f"{str(artefact.folder)!r} holds {found['name']!r}, and the config's teacher {other}.",
            f"  add {' '.join(words)}",
        )
    classes = tuple(artefact.record["data"]["classes"])
    if classes != data.info.classes:
        raise UserError(
            f"the teacher in {str(artefact.folder)!r} {_other(classes, data.info.classes)}.",
            "  use the dataset that the teacher was trained on, or train a teacher",
        )
    check_images(artefact, data)


def _other(known: Sequence[str], asked: Sequence[str]) -> str:
    """How a teacher's classes differ from the dataset's."""
    if len(known) != len(asked):
        return f"knows {len(known)} classes, the dataset has {len(asked)}"
    if set(known) == set(asked):
        return "knows the dataset's classes in another order"
    first = next(number for number, name in enumerate(known) if name != asked[number])
    return f"knows other classes: {known[first]!r} where the dataset has {asked[first]!r}"
