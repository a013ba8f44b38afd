"""Describes a dataset before its files are read, and checks the description against the files."""

from typing import Any

from kdrun.core.errors import ConfigError, Fault
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.types import DataInfo
from kdrun.dataset.image.images import InMemory
from kdrun.dataset.image.settings import ImageSettings
from kdrun.dataset.samples import RawDataset


def outline(settings: ImageSettings) -> DataInfo | None:
    """Return the number of classes and the size of the images that networks will get.

    Returns:
        The description, with numbers as class names and a training size of 0; None if the config
        does not determine it.
    """
    if settings.original is None:
        return None
    channels = settings.channels or settings.original.channels
    side = settings.image_size or settings.original.image_size
    if channels is None or side is None:
        return None
    selection = settings.class_map or settings.classes
    count = settings.original.classes if selection is None else len(selection)
    names = tuple(str(label) for label in range(count))
    return DataInfo(names, ImageInputs(channels, (side, side)), train_size=0)


def check_original(settings: ImageSettings, raw: RawDataset[Any]) -> None:
    """Compare the description of the files in a dataset's YAML with the files.

    Raises:
        ConfigError: they differ.
    """
    original = settings.original
    if original is None:
        return
    actual: dict[str, Any] = {"classes": len(raw.classes)}
    if isinstance(raw.train, InMemory):
        height, width, channels = raw.train.shape
        actual |= {"channels": channels, "image_size": height if height == width else None}
    elif len(raw.classes) < original.classes:  # a selection of the classes
        return
    faults = [
        Fault(f"dataset.original.{key}", f"is {expected}, and the files have {actual[key]}")
        for key, expected in original.model_dump(exclude_none=True).items()
        if key in actual and actual[key] != expected
    ]
    if faults:
        raise ConfigError(faults)
