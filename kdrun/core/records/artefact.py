"""artefact.json: the result of a stage, and how it was made."""

from collections.abc import Collection, Mapping, Sequence
from math import nan
from typing import Any, Required, TypedDict, cast


class DataRecord(TypedDict, total=False):
    """The data that a network was trained on.

    Keys:
        classes: the names of the classes, in the order of the logits.
        channels: the number of channels of an image.
        image_size: height and width in pixels.
        train_size: the number of training samples.
        labeled: the number of training samples with a label; missing in older files.
        merge: how classes were merged: the names of the original classes under `known`, and lists
            of their indices under `groups`; None if they were not.
        mean: the mean of each channel, in 0..1, by which images are normalized.
        std: the standard deviation of each channel.
        origin: the dataset, its folder and its split, with fingerprints of the images.
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
    """The record of a finished stage; its keys depend on the kind of stage.

    Keys:
        format: the number of the file's format.
        fingerprint: the hash of all that determines the artefact.
        stage: the name of the stage.
        model: the config node of the network.
        data: the data that the network was built for.
        trained_on: the data that given weights were trained on, if it differs from `data`; None if
            it is unknown.
        source: a text that says where the weights come from.
        epochs: the number of epochs of the main phase of training; None without training.
        first_epochs: the number of epochs of earlier phases.
        steps: the number of updates in all phases.
        epochs_planned: the number of epochs in the recipe; training may stop earlier.
        select: the epoch of these weights: `last` or `best`.
        best_epoch: the best epoch by validation, counted from 1.
        best_validation_accuracy: the leading metric of the best epoch, in 0..1.
        validation: the scores of these weights on the validation split.
        seconds: the time spent in training steps.
        images_per_second: the training images per second of that time.
        stopped: why training stopped early; empty if it didn't.
        hardware: device, precision and threads, with the reasons for them.
        instructions: the CPU instructions that computed it, several if it was resumed on another
            CPU; missing in older files.
        notes: sentences on decisions that the stage made.
        warnings: sentences that warn the user.
        said: the line that announces the stage, if it has no scores.
        changes: the changes that compression made to the network's structure, in order.
        found: the value in the step's config node that a search determined.
        ranges: module path -> ranges of calibrated activations.
        layout: the layout of a teacher's stored outputs.
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
    instructions: list[str]
    notes: list[str]
    warnings: list[str]
    said: str
    changes: Sequence[Mapping[str, Any]]
    found: dict[str, float | None] | None
    ranges: dict[str, Any]
    layout: dict[str, Any]
    sums: dict[str, str]


def some_keys(record: ArtefactRecord, keys: Collection[str]) -> ArtefactRecord:
    """Return the part of a record that has the given keys; keys that it lacks are skipped."""
    return cast("ArtefactRecord", {key: value for key, value in record.items() if key in keys})


def validation_score(record: ArtefactRecord, metric: str) -> float:
    """Return a score on the validation split; NaN if it was not finite."""
    score = record["validation"][metric]
    return nan if score is None else score
