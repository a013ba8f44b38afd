"""The keys that every dataset's config node has, and how a node is held against them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    NonNegativeFloat,
    NonNegativeInt,
    PlainValidator,
    PositiveFloat,
    PositiveInt,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from kdrun.core.errors import Fault, UserError
from kdrun.core.ranges import OpenUnit, UnitAboveZero
from kdrun.core.registry import check_model, keywords, resolve, settings_of
from kdrun.dataset.table import DATASETS

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


def _subset(value: Any) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    part = isinstance(value, float) and 0 < value < 1
    if value is None or whole or part:
        return value
    raise PydanticCustomError(
        "subset", "should be a number of samples, a fraction below 1, or null"
    )


def _class_reference(value: Any) -> Any:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return value
    raise PydanticCustomError("class_reference", "should be the name or the index of a class")


def _workers(value: Any) -> Any:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise PydanticCustomError("workers", "should be a number of processes, or auto")


def _unlabeled(value: Any) -> Any:
    if value is None or isinstance(value, Path):
        return value
    if isinstance(value, str) and value:
        return Path(value).expanduser()
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise PydanticCustomError("unlabeled", "should be a folder, a share from 0 to 1, or null")


Subset = Annotated[int | float | None, BeforeValidator(_subset)]
Unlabeled = Annotated[float | Path | None, PlainValidator(_unlabeled)]
ClassReference = Annotated[int | str, BeforeValidator(_class_reference)]
Workers = Annotated[int | str, BeforeValidator(_workers)]
Folder = Annotated[Path, AfterValidator(Path.expanduser)]


class Augment(BaseModel):
    """What training images undergo, each anew in every view; labels stay true.

    Attributes:
        crop: zeros added on each side, in pixels, before a crop of the image's size; 0 is none.
        flip: mirror every second image, left to right.
        resized_crop: smallest share of the picture's area that a crop of random size and
            proportions keeps, resized to the image's size; for sets of picture files.
    """

    model_config = STRICT

    crop: NonNegativeInt
    flip: bool
    resized_crop: UnitAboveZero | None

    @model_validator(mode="after")
    def _one_crop(self) -> Self:
        if self.crop and self.resized_crop is not None:
            raise PydanticCustomError("crops", "should have crop or resized_crop, not both")
        return self

    @property
    def off(self) -> bool:
        """Whether it leaves every image as it is."""
        return not (self.crop or self.flip or self.resized_crop)


class Original(BaseModel):
    """What the files of a dataset hold, before any setting changes it; None where files differ.

    Attributes:
        classes: number of classes. A folder of image files may hold fewer, a selection.
        channels: 1 for grey, 3 for color.
        image_size: height and width in pixels.
    """

    model_config = STRICT

    classes: PositiveInt
    channels: Literal[1, 3] | None
    image_size: PositiveInt | None


class Common(BaseModel):
    """The keys that every dataset has; conf/dataset/ has their values and meaning."""

    model_config = STRICT

    original: Original | None
    root: Folder
    download: bool
    subset: Subset
    classes: list[ClassReference] | None
    class_map: dict[ClassReference, list[ClassReference]] | None
    unlabeled: Unlabeled
    validation: OpenUnit
    test: OpenUnit
    split_seed: NonNegativeInt
    image_size: PositiveInt | None
    channels: Literal[1, 3] | None
    mean: list[float] | None
    std: list[PositiveFloat] | None
    augment: Augment
    memory_limit: NonNegativeFloat
    workers: Workers

    @model_validator(mode="after")
    def _mean_with_std(self) -> Self:
        if (self.mean is None) != (self.std is None):
            raise PydanticCustomError("normalization", "should have mean and std, or neither")
        return self


def check_settings(node: Mapping[str, Any]) -> list[Fault]:
    """The faults of a node: its name, unknown or missing keys, values out of range."""
    try:
        model = _model(str(node.get("name")))
    except UserError as error:
        return [Fault("dataset", str(error))]
    return check_model("dataset", settings_of(node), model, repr(node["name"]))


def read_settings(node: Mapping[str, Any]) -> tuple[Common, dict[str, Any]]:
    """A node that has no faults, typed: the common keys, and the arguments of its reader."""
    settings = _model(node["name"]).model_validate(settings_of(node))
    reader = resolve("dataset", DATASETS, node["name"])
    return settings, {key: getattr(settings, key) for key in keywords(reader)}


def _model(name: str) -> type[Common]:
    """The common keys and the reader's own; of one that both have, the reader's type holds."""
    reader = resolve("dataset", DATASETS, name)
    own: dict[str, Any] = {key: (kind, ...) for key, kind in keywords(reader).items()}
    return create_model("Dataset", __base__=Common, **own)
