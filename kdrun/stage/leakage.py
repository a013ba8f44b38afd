"""What images a finished network was trained on, held against those that a run holds out."""

from collections.abc import Mapping, Sequence
from math import isclose
from typing import Any

from kdrun.core.errors import UserError
from kdrun.dataset.data import Data
from kdrun.stage.artefact import Artefact

_DIGITS = 6  # of mean and std in words
_HERE = "leave teacher.run out and train the teacher here"


def trained_on(artefact: Artefact) -> Mapping[str, Any] | None:
    """The record of the data that an artefact's weights were trained on; None if unknown."""
    record = artefact.record
    known = record["trained_on"] if "trained_on" in record else record["data"]
    return known if known and "origin" in known else None


def check_images(artefact: Artefact, data: Data) -> list[str]:
    """Refuse a teacher that may have learned what the run holds out, or sees inputs anew scaled.

    Where validation and test images are the same, none of them was trained on, whatever subset
    of the others was.

    Returns:
        What the user should know, in sentences.

    Raises:
        UserError: another split of the same set, or another normalization of its images.
    """
    known, folder = trained_on(artefact), repr(str(artefact.folder))
    if known is None:
        return [f"on what images {folder} was trained is not recorded"]
    if known["origin"]["held_out"] == data.origin["held_out"]:
        _check_normalization(known, data, folder)
        return []
    if _same_set(known["origin"], data.origin):
        raise UserError(*_another_split(known["origin"], data.origin, folder))
    there = repr(known["origin"]["root"])
    return [
        f"{folder} was trained on other images, {there} ({known['origin']['name']}),"
        f" normalized with {_words(known['mean'], known['std'])};"
        " that they are none of this run's validation and test images can't be checked"
    ]


def _same_set(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """The same pictures wherever they lie, or what lies in the same place by the same name."""
    if one["pictures"] == other["pictures"]:
        return True
    return all(one[key] == other[key] for key in ("name", "root"))


def _another_split(known: Mapping[str, Any], own: Mapping[str, Any], folder: str) -> list[str]:
    split = known["split"]
    words = [f"dataset.{key}={split[key]}" for key in split if split[key] != own["split"][key]]
    if not words:
        return [
            f"the teacher in {folder} was trained on {known['name']!r} before its pictures or"
            " classes were changed, perhaps on images that this run validates or tests on.",
            f"  {_HERE}",
        ]
    return [
        f"the teacher in {folder} was trained on another split of {known['name']!r}, perhaps on"
        " images that this run validates or tests on.",
        f"  those must be the same, only dataset.subset may differ: add {' '.join(words)},",
        f"  or {_HERE}",
    ]


def _check_normalization(known: Mapping[str, Any], data: Data, folder: str) -> None:
    if len(known["mean"]) != len(data.mean):
        return  # other channels: its first layer will not fit
    pairs = zip([*known["mean"], *known["std"]], [*data.mean, *data.std], strict=True)
    if all(isclose(one, other, abs_tol=10**-_DIGITS) for one, other in pairs):
        return
    raise UserError(
        f"the teacher in {folder} was trained on images normalized with"
        f" {_words(known['mean'], known['std'])}, and this run has"
        f" {_words(data.mean, data.std)}.",
        f"  add dataset.mean={_rounded(known['mean'])} dataset.std={_rounded(known['std'])},"
        f" or {_HERE}",
    )


def _words(mean: Sequence[float], std: Sequence[float]) -> str:
    return f"mean {_rounded(mean)} and std {_rounded(std)}"


def _rounded(values: Sequence[float]) -> str:
    """As the command line takes it: [0.1,0.2]."""
    return f"[{','.join(str(round(value, _DIGITS)) for value in values)}]"
