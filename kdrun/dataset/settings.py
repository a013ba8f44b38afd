"""The keys that the config node of every dataset has, and their types."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    NonNegativeFloat,
    PlainValidator,
)
from pydantic_core import PydanticCustomError

from kdrun.core.home import in_home
from kdrun.core.ranges import OpenUnit, Seed

# Settings reject unknown keys, infinite numbers, and later changes.
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


def _check_subset(value: Any) -> Any:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    is_fraction = isinstance(value, float) and 0 < value < 1
    if value is None or is_count or is_fraction:
        return value
    raise PydanticCustomError(
        "subset", "should be a number of samples, a fraction below 1, or null"
    )


def _check_class_reference(value: Any) -> Any:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return value
    raise PydanticCustomError("class_reference", "should be the name or the index of a class")


def _check_workers(value: Any) -> Any:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise PydanticCustomError("workers", "should be a number of processes, or auto")


def _check_unlabeled(value: Any) -> Any:
    if value is None or isinstance(value, Path):
        return value
    if isinstance(value, str) and value:
        return in_home(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise PydanticCustomError("unlabeled", "should be a folder, a share from 0 to 1, or null")


Subset = Annotated[int | float | None, BeforeValidator(_check_subset)]
Unlabeled = Annotated[float | Path | None, PlainValidator(_check_unlabeled)]
ClassReference = Annotated[int | str, BeforeValidator(_check_class_reference)]  # index or name
Workers = Annotated[int | str, BeforeValidator(_check_workers)]
Folder = Annotated[Path, AfterValidator(in_home)]


class Common(BaseModel):
    """The keys that every dataset has; conf/dataset/_base.yaml has their values and meaning."""

    model_config = STRICT

    task: str
    root: Folder
    download: bool
    subset: Subset
    classes: list[ClassReference] | None
    class_map: dict[ClassReference, list[ClassReference]] | None
    unlabeled: Unlabeled
    validation: OpenUnit
    test: OpenUnit
    split_seed: Seed
    memory_limit: NonNegativeFloat
    workers: Workers
