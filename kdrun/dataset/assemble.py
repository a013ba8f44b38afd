"""Makes a dataset from a config node: reads it, chooses classes, splits and prepares it."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdrun.core.registry import resolve
from kdrun.dataset.class_selection import choose_classes
from kdrun.dataset.config_node import valid_settings
from kdrun.dataset.data import Data
from kdrun.dataset.modality import modality_of
from kdrun.dataset.reader_check import check_samples
from kdrun.dataset.record import origin
from kdrun.dataset.samples import RawDataset, S
from kdrun.dataset.settings import Common
from kdrun.dataset.splits import (
    Splits,
    carve,
    note_empty_classes,
    number,
    require_every_class,
    take_subset,
)
from kdrun.dataset.table import DATASETS
from kdrun.task import task_of


def assemble(node: Mapping[str, Any], tokenizers: Sequence[Mapping[str, Any]] = ()) -> Data:
    """Read and split the dataset that a node describes.

    Args:
        node: the config node.
        tokenizers: config nodes of the tokenizers of networks, which only texts need.

    Raises:
        ConfigError: the node has faults.
        UserError: files are missing, damaged or unusable.
    """
    settings, arguments = valid_settings(node)
    raw = resolve("dataset", DATASETS, node["name"])(**arguments)
    check_samples(node["name"], raw)
    modality = modality_of(node["name"])
    modality.function("check_raw")(settings, raw)
    classes, splits = split(raw, settings)
    notes = [*raw.notes]
    for name in ("validation", "test"):
        notes += note_empty_classes(f"{name} split", splits[name].targets, classes)
    prepare = modality.function("prepare")
    data: Data = prepare(classes, splits, settings, origin(node, raw, splits), notes, tokenizers)
    return data.of_task(task_of(node))


def split(raw: RawDataset[S], settings: Common) -> tuple[tuple[str, ...], Splits[S]]:
    """Choose classes, and take the splits that the dataset does not have from its training split.

    Returns:
        The class names, and disjoint splits called train, validation and test.
    """
    classes, table = choose_classes(raw.classes, settings.classes, settings.class_map)
    splits = {name: number(name, samples).relabel(table) for name, samples in raw.splits.items()}
    for name, share in (("test", settings.test), ("validation", settings.validation)):
        if name not in splits:
            remain, taken = carve(splits["train"], share, settings.split_seed, name)
            splits |= {"train": remain, name: taken}
    splits["train"] = take_subset(splits["train"], settings.subset, settings.split_seed)
    require_every_class(splits["train"], classes)
    return classes, {name: splits[name] for name in ("train", "validation", "test")}
