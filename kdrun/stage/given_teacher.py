"""Takes a trained teacher from another run, or from a checkpoint of another project."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from kdrun import model
from kdrun.core.config import Config, Network
from kdrun.core.errors import UserError
from kdrun.core.inputs import read_inputs
from kdrun.core.reading import digest, open_named, open_record
from kdrun.core.records.artefact import ArtefactRecord, DataRecord
from kdrun.core.store import RECORD
from kdrun.dataset.data import Data
from kdrun.engine.evaluate import score
from kdrun.engine.training_spec import Runtime
from kdrun.engine.weights import copy_weights
from kdrun.stage.artefact import (
    Artefact,
    describe_data,
    explain_other_record,
    read_artefact,
    write_artefact,
)
from kdrun.stage.base import StageContext, StageInfo
from kdrun.stage.checkpoint_weights import load_checkpoint
from kdrun.stage.leakage import check_images, trained_on
from kdrun.stage.recorded_scores import score_difference
from kdrun.stage.state_dict import fill
from kdrun.stage.tokenizer_file import check_tokenizer


@dataclass(frozen=True)
class GivenTeacher:
    """Make an artefact of a teacher that is trained already; see `Stage`.

    Attributes:
        info: the name of the stage and its folder.
        network: the config of the teacher.
        path: a checkpoint file, or the folder of an artefact.
        key: where in a checkpoint file the weights are; None to look everywhere.
        role: the config key of the teacher.
    """

    info: StageInfo
    network: Network
    path: Path
    key: str | None = None
    role: str = "teacher"

    def identity(self, config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
        is_run = self.path.is_dir()
        file = open_record(self.path / RECORD) if is_run else open_named(self.path)
        return {
            "stage": "take",
            "model": self.network.node,
            "file": digest(file),
            **({} if self.key is None else {"key": self.key}),
            "data": data.digest,
            "precision": runtime.hardware.precision,
        }

    def execute(self, context: StageContext, folder: Path, fingerprint: str) -> None:
        network, notes = load_teacher(self.network, self.path, self.key, context.data)
        source = WeightsSource(str(self.path), notes=notes)
        if self.path.is_dir():
            artefact = read_artefact(self.path)
            source = WeightsSource(
                str(self.path),
                trained_on(artefact),
                notes,
                check_images(artefact, context.data),
                artefact,
            )
        write_untrained(context, folder, network, self.network, source, fingerprint)


@dataclass(frozen=True)
class WeightsSource:
    """The source of weights that are not trained in this run.

    Attributes:
        name: a path, or the name of the weights.
        trained_on: the record of the data that they were trained on; None if unknown.
        notes: sentences for the record on what was taken from the source.
        warnings: sentences for the user about that data.
        artefact: the artefact that the weights were read from, if any.
    """

    name: str
    trained_on: DataRecord | None = None
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    artefact: Artefact | None = None


def write_untrained(
    context: StageContext,
    folder: Path,
    network: nn.Module,
    config: Network,
    source: WeightsSource,
    fingerprint: str,
) -> None:
    """Write the artefact of a network that needs no training, with its validation scores.

    Raises:
        UserError: on the same samples its scores differ from those that the source recorded.
    """
    hardware = context.runtime.hardware
    network.to(hardware.device)
    scores = score(network, context.data.validation, hardware, context.config.evaluate.batch_size)
    if source.artefact is not None:
        task = context.data.task
        with explain_other_record(source.artefact.folder):
            same = _same_validation(source.artefact, context.data)
            fault = score_difference(source.artefact, scores, True, task) if same else ""
        if fault:
            raise UserError(
                f"the teacher in {source.name!r} {fault}.",
                "  undo the change of the code or of the packages, or train a teacher here",
            )
    record: ArtefactRecord = {
        "fingerprint": fingerprint,
        "stage": "teacher",
        "model": model.rebuildable(config.node, network),
        "data": describe_data(context.data),
        "trained_on": source.trained_on,
        "source": source.name,
        "epochs": None,
        "validation": dict(scores),
        "seconds": None,
        "notes": [f"taken from {source.name}, not trained here", *source.notes],
        "warnings": list(source.warnings),
    }
    write_artefact(folder, record, copy_weights(network))


def load_teacher(
    network: Network, path: Path, key: str | None, data: Data
) -> tuple[nn.Module, list[str]]:
    """Build the teacher and load its weights from an artefact or a checkpoint file.

    All keys and shapes must agree.

    Args:
        network: the config of the teacher.
        path: a checkpoint file, or the folder of an artefact.
        key: where in a checkpoint file the weights are; None to look everywhere.
        data: the data of the run.

    Returns:
        The teacher, and sentences for the user on what was taken from a checkpoint file.

    Raises:
        UserError: the architecture, the classes, the split or the normalization differ, or the file
            is damaged or unreadable.
    """
    built = model.build(network.node, data.info)
    if not path.is_dir():
        return built, load_checkpoint(built, path, key, network.name)
    artefact = read_artefact(path)
    with explain_other_record(path):
        _check_agreement(model.rebuildable(network.node, built), artefact, data)
        fill(built, artefact.weights(), network.name, path)
    return built, []


def artefact_folder(path: Path) -> Path:
    """Return the folder of the teacher's artefact: `path`, or `path`/teacher for a run folder.

    Raises:
        UserError: there is no artefact in either folder.
    """
    for folder in (path, path / "teacher"):
        if (folder / RECORD).exists():
            return folder
    raise UserError(
        f"{str(path)!r} is no run folder with a finished teacher, nor an artefact.",
        "  the runs that are there: kdrun list runs",
    )


def _same_validation(artefact: Artefact, data: Data) -> bool:
    """Return whether the record's scores are of this validation split, normalized in this way."""
    recorded = artefact.record["data"]
    return (
        "validation" in artefact.record
        and recorded.get("origin", {}).get("held_out") == data.origin["held_out"]
        and read_inputs(recorded) == data.info.inputs
    )


def _check_agreement(teacher: Mapping[str, Any], artefact: Artefact, data: Data) -> None:
    """Refuse an artefact of another network, or of other classes, texts or a split in conflict.

    Args:
        teacher: the teacher's config node with what was read from files of others.
        artefact: the trained teacher.
        data: the data of the run.

    Raises:
        UserError: see above.
    """
    recorded, node = map(_without_tokenizer, (artefact.record["model"], teacher))
    if recorded != node:
        keys = [key for key in recorded if recorded[key] != node.get(key) and key != "name"]
        overrides = [
            f"teacher={recorded['name']}",
            *(f"teacher.{key}={recorded[key]}" for key in keys),
        ]
        difference = (
            "has other settings" if recorded["name"] == node["name"] else f"is {node['name']!r}"
        )
        raise UserError(
            f"{str(artefact.folder)!r} holds {recorded['name']!r}, and the config's teacher"
            f" {difference}.",
            f"  add {' '.join(overrides)}",
        )
    classes = tuple(artefact.record["data"]["classes"])
    if classes != data.info.classes:
        raise UserError(
            f"the teacher in {str(artefact.folder)!r}"
            f" {_class_difference(classes, data.info.classes)}.",
            "  use the dataset that the teacher was trained on, or train a teacher",
        )
    check_tokenizer(artefact.folder, artefact.record["data"], data, teacher, "teacher")
    check_images(artefact, data)


def _without_tokenizer(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return a network's config node without the tokenizer, which is compared by its content."""
    return {key: value for key, value in node.items() if key != "tokenizer"}


def _class_difference(teacher_classes: Sequence[str], classes: Sequence[str]) -> str:
    """Describe how the classes that a teacher knows differ from those of the dataset."""
    if len(teacher_classes) != len(classes):
        return f"knows {len(teacher_classes)} classes, the dataset has {len(classes)}"
    if set(teacher_classes) == set(classes):
        return "knows the dataset's classes in another order"
    pairs = zip(teacher_classes, classes, strict=True)
    teacher_class, name = next((first, second) for first, second in pairs if first != second)
    return f"knows other classes: {teacher_class!r} where the dataset has {name!r}"
