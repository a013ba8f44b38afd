"""Whether a teacher that was trained before may have learned images that this run holds out."""

from collections.abc import Mapping, Sequence
from math import isclose
from typing import Any

from kdrun.core.errors import UserError
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

    If it held out the same images, it learned none of them, whichever subset of the others it was
    trained on.

    Args:
        artefact: of the teacher.
        data: of the run.

    Returns:
        Warnings, as sentences.

    Raises:
        UserError: the teacher was trained on another split of the same dataset, or on images that
            were normalized otherwise.
    """
    known, folder = trained_on(artefact), repr(str(artefact.folder))
    if known is None:
        return [f"on what images {folder} was trained is not recorded"]
    origin = known["origin"]
    if origin["held_out"] == data.origin["held_out"]:
        _check_normalization(known, data, folder)
        return []
    if _is_same_dataset(origin, data.origin):
        raise UserError(*_split_message(origin, data.origin, folder))
    return [
        f"{folder} was trained on other images, {origin['root']!r} ({origin['name']}), normalized"
        f" with {_normalization(known['mean'], known['std'])}; kdrun can't check whether they"
        " include this run's validation and test images"
    ]


def _is_same_dataset(origin: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the images are the same, or lie in the same folder under the same name."""
    if origin["pictures"] == other["pictures"]:
        return True
    return all(origin[key] == other[key] for key in ("name", "root"))


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
        f"  both must be the same, only dataset.subset may differ: add {' '.join(overrides)},",
        f"  or {_TRAIN_HERE}",
    ]


def _check_normalization(known: DataRecord, data: Data, folder: str) -> None:
    if len(known["mean"]) != len(data.mean):
        return  # another number of channels: building the teacher will fail with its own message
    pairs = zip([*known["mean"], *known["std"]], [*data.mean, *data.std], strict=True)
    if all(isclose(value, other, abs_tol=10**-_DIGITS) for value, other in pairs):
        return
    raise UserError(
        f"the teacher in {folder} was trained on images normalized with"
        f" {_normalization(known['mean'], known['std'])}, and this run has"
        f" {_normalization(data.mean, data.std)}.",
        f"  add dataset.mean={_rounded(known['mean'])} dataset.std={_rounded(known['std'])},"
        f" or {_TRAIN_HERE}",
    )


def _normalization(mean: Sequence[float], std: Sequence[float]) -> str:
    return f"mean {_rounded(mean)} and std {_rounded(std)}"


def _rounded(values: Sequence[float]) -> str:
    """Return numbers as the command line takes them: [0.1,0.2]."""
    return f"[{','.join(str(round(value, _DIGITS)) for value in values)}]"
