"""What networks are told of a dataset, without its files: enough to build and draw them."""

from collections.abc import Mapping
from typing import Any

from kdrun.core.errors import ConfigError
from kdrun.core.types import DataInfo
from kdrun.dataset.settings import Common, check_settings, read_settings

# Classes, channels, and height and width in pixels, as published; sources in conf/dataset/.
OUTLINES = {
    "cifar10": (10, 3, 32),
    "cifar100": (100, 3, 32),
    "digits": (10, 1, 8),
    "fashion_mnist": (10, 1, 28),
    "imagenet": (1000, 3, 224),
    "kmnist": (10, 1, 28),
    "mnist": (10, 1, 28),
    "stl10": (10, 3, 96),
    "svhn": (10, 3, 32),
}


def outline(node: Mapping[str, Any]) -> DataInfo | None:
    """The classes and the size of the images, where the node's name and settings tell them.

    Returns:
        Numbered classes instead of names, and no training samples; None where only the files
        know.

    Raises:
        ConfigError: faults of the node.
    """
    faults = check_settings(node)
    if faults:
        raise ConfigError(faults)
    settings, own = read_settings(node)
    if node["name"] == "fake":
        return _info(settings, own["num_classes"], own["channels"], own["image_size"])
    known = OUTLINES.get(node["name"])
    return _info(settings, *known) if known else None


def _info(settings: Common, classes: int, channels: int, side: int) -> DataInfo:
    chosen = settings.class_map or settings.classes
    count = classes if chosen is None else len(chosen)
    side = settings.image_size or side
    names = tuple(str(label) for label in range(count))
    return DataInfo(names, settings.channels or channels, (side, side), train_size=0)
