"""Whether a teacher that was trained before may have learned images that this run holds out."""

from collections.abc import Mapping, Sequence
from math import isclose
from typing import Any

from kdrun.core.errors import UserError
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.records.artefact import DataRecord
from kdrun.dataset.data import Data
from kdrun.stage.artefact import Artefact

_DIGITS = 6  # of mean and std in messages
_TRAIN_HERE = "leave teacher.run out and train the teacher here"


def trained_on(artefact: Artefact) -> DataRecord | None:
    """Return the record of the data that an artefact's weights learned; None if it is unknown."""
    record = artefact.record
    data = record["trained_on"] if "trained_on" in record else record["data"]
    return data if data and "origin" in data else None


def check_images(artefact: Artefact, data: Data) -> list[str]:
    """Check that a teacher learned none of the run's validation and test images.

    A teacher that held out the same images learned none of them, even if its `dataset.subset` was
    different.

    Args:
        artefact: the teacher's artefact.
        data: the run's data.

    Returns:
        Warnings, as sentences.

    Raises:
        UserError: the teacher was trained on another split of the same dataset, or on images that
            were normalized otherwise.
    """
    teacher_data, folder = trained_on(artefact), repr(str(artefact.folder))
    if teacher_data is None:
        return [f"on what images {folder} was trained is not recorded"]
    teacher_origin = teacher_data["origin"]
    if teacher_origin["held_out"] == data.origin["held_out"]:
        _check_normalization(teacher_data, data, folder)
        return []
    if _is_same_dataset(teacher_origin, data.origin):
        raise UserError(*_split_message(teacher_origin, data.origin, folder))
    return [
        f"{folder} was trained on other images, {teacher_origin['root']!r}"
        f" ({teacher_origin['name']}), normalized"
        f" with {_describe_normalization(teacher_data['mean'], teacher_data['std'])};"
        " kdrun can't check whether they"
        " include this run's validation and test images"
    ]


def _is_same_dataset(origin: Mapping[str, Any], run_origin: Mapping[str, Any]) -> bool:
    """Return whether the images are equal, or come from the same dataset in the same folder."""
    if origin["pictures"] == run_origin["pictures"]:  # digests of the images
        return True
    return all(origin[key] == run_origin[key] for key in ("name", "root"))


def _split_message(
    origin: Mapping[str, Any], run_origin: Mapping[str, Any], folder: str
) -> list[str]:
    """Return the lines of the error for a teacher that was trained on another split."""
    split, run_split = origin["split"], run_origin["split"]
    overrides = [f"dataset.{key}={split[key]}" for key in split if split[key] != run_split[key]]
    if not overrides:
        return [
            f"the teacher in {folder} was trained on {origin['name']!r} before its pictures or"
            " classes were changed, perhaps on images that this run validates or tests on.",
            f"  {_TRAIN_HERE}",
        ]
    return [
        f"the teacher in {folder} was trained on another split of {origin['name']!r}, perhaps on"
        " images that this run validates or tests on.",
        "  both splits must be the same, only dataset.subset may differ:"
        f" add {' '.join(overrides)},",
        f"  or {_TRAIN_HERE}",
    ]


def _check_normalization(teacher_data: DataRecord, data: Data, folder: str) -> None:
    inputs = data.info.inputs
    if not isinstance(inputs, ImageInputs) or len(teacher_data["mean"]) != len(inputs.mean):
        return  # another number of channels: building the teacher will fail with its own message
    pairs = zip(
        [*teacher_data["mean"], *teacher_data["std"]], [*inputs.mean, *inputs.std], strict=True
    )
    if all(isclose(a, b, abs_tol=10**-_DIGITS) for a, b in pairs):
        return
    raise UserError(
        f"the teacher in {folder} was trained on images normalized with"
        f" {_describe_normalization(teacher_data['mean'], teacher_data['std'])}, and this run has"
        f" {_describe_normalization(inputs.mean, inputs.std)}.",
        f"  add dataset.mean={_format_list(teacher_data['mean'])}"
        f" dataset.std={_format_list(teacher_data['std'])},"
        f" or {_TRAIN_HERE}",
    )


def _describe_normalization(mean: Sequence[float], std: Sequence[float]) -> str:
    return f"mean {_format_list(mean)} and std {_format_list(std)}"


def _format_list(values: Sequence[float]) -> str:
    """Return numbers as the command line takes them: [0.1,0.2]."""
    return f"[{','.join(str(round(value, _DIGITS)) for value in values)}]"
