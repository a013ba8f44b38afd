"""artefact.json: what a stage left, and how it came about."""

from collections.abc import Collection, Mapping, Sequence
from math import nan
from typing import Any, Required, TypedDict, cast


class DataRecord(TypedDict, total=False):
    """The data that a network was trained on.

    Keys:
        classes: their names, in the order of the logits.
        channels: of an image.
        image_size: height and width in pixels.
        train_size: training samples.
        labeled: training samples with a label; missing in older files.
        merge: how classes were merged: `known` classes and the `groups` of their indices.
        mean: of each channel, in 0..1, as images are normalized with.
        std: of each channel.
        origin: dataset, folder and split, with fingerprints of the images.
    """

    classes: Required[list[str]]
    channels: int
    image_size: list[int]
    train_size: int
    labeled: int
    merge: dict[str, Any] | None
    mean: list[float]
    std: list[float]
    origin: dict[str, Any]


class ArtefactRecord(TypedDict, total=False):
    """A finished stage; which keys there are depends on the kind of stage.

    Keys:
        format: of the file.
        fingerprint: of all that determines the artefact.
        stage: its name.
        model: the network's node of the config.
        data: that the network was built for.
        trained_on: data of weights that were given, where it is other data; None if unknown.
        source: where the weights come from, in words.
        epochs: of the main phase of training; None without training.
        first_epochs: of the phases before it.
        steps: updates in all phases.
        epochs_planned: as the recipe asks for; fewer are trained where training stops early.
        select: whose weights these are: `last` or `best` epoch.
        best_epoch: the best by validation, counted from 1.
        best_validation_accuracy: the leading metric of that epoch, in 0..1.
        validation: scores of these weights on the validation split.
        seconds: time spent in training steps.
        images_per_second: over these.
        stopped: why training ended early, or an empty text.
        hardware: device, precision and threads, with the reasons for them.
        notes: what was decided on the way, in sentences.
        warnings: what the user should know, in sentences.
        said: the line that announces the stage, where it has no scores.
        changes: what compression changed in the structure, in order.
        found: the value of the step's node that was searched for.
        ranges: of calibrated activations, by module path.
        layout: of stored outputs of a teacher.
        sums: file -> SHA-256.
    """

    format: int
    fingerprint: str
    stage: str
    model: dict[str, Any]
    data: DataRecord
    trained_on: DataRecord | None
    source: str
    epochs: int | None
    first_epochs: int
    steps: int | None
    epochs_planned: int
    select: str
    best_epoch: int
    best_validation_accuracy: float | None
    validation: Mapping[str, float | None]
    seconds: float | None
    images_per_second: float | None
    stopped: str
    hardware: str
    notes: list[str]
    warnings: list[str]
    said: str
    changes: Sequence[Mapping[str, Any]]
    found: dict[str, float | None] | None
    ranges: dict[str, Any]
    layout: dict[str, Any]
    sums: dict[str, str]


def some_keys(record: ArtefactRecord, keys: Collection[str]) -> ArtefactRecord:
    """Return a record with those of the keys that `record` has."""
    return cast("ArtefactRecord", {key: value for key, value in record.items() if key in keys})


def validation_score(record: ArtefactRecord, metric: str) -> float:
    """Return a score on the validation split; NaN if it was not finite."""
    score = record["validation"][metric]
    return nan if score is None else score
