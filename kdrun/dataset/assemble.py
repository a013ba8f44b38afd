"""From a config node to a dataset: read, choose classes, split, bring to size, put in memory."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kdrun.core.errors import ConfigError, Fault, UserError
from kdrun.core.registry import resolve
from kdrun.core.types import DataInfo
from kdrun.dataset.data import Data, Normalizer, Split
from kdrun.dataset.feed import Feed, MemoryFeed, StreamFeed
from kdrun.dataset.image.frames import Unreadable
from kdrun.dataset.image.pictures import InMemory, OnDisk, Pictures, RawDataset
from kdrun.dataset.image.reshape import (
    check_headers,
    frame_files,
    into_memory,
    nbytes,
    reshape_images,
)
from kdrun.dataset.image.statistics import channel_statistics
from kdrun.dataset.outline import check_original
from kdrun.dataset.record import describe, digest, origin
from kdrun.dataset.select import choose_classes
from kdrun.dataset.settings import Common, check_settings, read_settings
from kdrun.dataset.splits import Parts, carve, number, require_every_class, take_subset
from kdrun.dataset.table import DATASETS
from kdrun.dataset.unlabeled import with_unlabeled


def assemble(node: Mapping[str, Any]) -> Data:
    """Read and split the dataset that a node describes.

    Raises:
        ConfigError: faults of the node.
        UserError: files that are missing, damaged or of no use.
    """
    faults = check_settings(node)
    if faults:
        raise ConfigError(faults)
    common, arguments = read_settings(node)
    raw: RawDataset = resolve("dataset", DATASETS, node["name"])(**arguments)
    check_original(common.original, raw)
    classes, parts = split(node["name"], raw, common)
    known = origin(node, raw, parts)
    parts, labeled = _bring_to_shape(parts, classes, common)
    return _make(classes, parts, labeled, common, known, raw.notes)


def split(name: str, raw: RawDataset, common: Common) -> tuple[tuple[str, ...], Parts]:
    """The chosen classes, and disjoint parts for training, validation and test."""
    _check_labels(name, raw)
    classes, table = choose_classes(raw.classes, common.classes, common.class_map)
    parts = {part: number(part, pictures).relabel(table) for part, pictures in raw.parts.items()}
    for purpose, share in (("test", common.test), ("validation", common.validation)):
        if purpose not in parts:
            left, taken = carve(parts["train"], share, common.split_seed, purpose)
            parts |= {"train": left, purpose: taken}
    parts["train"] = take_subset(parts["train"], common.subset, common.split_seed)
    require_every_class(parts["train"], classes)
    return classes, {purpose: parts[purpose] for purpose in ("train", "validation", "test")}


def _bring_to_shape(
    parts: Parts, classes: tuple[str, ...], common: Common
) -> tuple[Parts, Tensor | None]:
    """All pictures in one size, in memory if they fit; and which training samples have labels."""
    train = parts["train"].pictures
    frame = None
    if isinstance(train, OnDisk):
        try:
            frame = frame_files(train, common.image_size, common.channels)
        except Unreadable:
            _each(parts, check_headers)  # which names the others too
            raise

    def bring(pictures: Pictures) -> Pictures:
        if isinstance(pictures, OnDisk):
            return replace(pictures, frame=frame)
        return reshape_images(pictures, common.image_size, common.channels)

    parts = _each(parts, bring)
    own, labeled = with_unlabeled(parts["train"], common.unlabeled, classes, common.split_seed)
    parts["train"] = own
    return settle(parts, common), labeled


def settle(parts: Parts, common: Common) -> Parts:
    """Pictures in memory if they fit; else their headers read, as they are decoded in a run.

    Raises:
        Unreadable: some are no pictures; they are named.
    """
    return _each(parts, into_memory if _fits(parts, common) else check_headers)


def _fits(parts: Parts, common: Common) -> bool:
    """Whether pixels are kept in memory; a resized crop is cut from the picture as it is filed."""
    size = sum(nbytes(part.pictures) for part in parts.values())
    return size <= common.memory_limit * 1e9 and common.augment.resized_crop is None


def _make(
    classes: tuple[str, ...],
    parts: Parts,
    labeled: Tensor | None,
    common: Common,
    known: dict[str, Any],
    notes: tuple[str, ...],
) -> Data:
    train = parts["train"].pictures
    shape = _shape(train)
    _check_beside_pictures(common, train, shape)
    labeled_parts = parts
    if labeled is not None:
        labeled_parts = {**parts, "train": parts["train"].select(labeled.nonzero().squeeze(1))}
    more = isinstance(common.unlabeled, Path)
    mean, std = _statistics(labeled_parts["train"].pictures if more else train, common)
    splits = make_splits(parts, len(classes), common, Normalizer.of(mean, std, width=shape[1]))
    return Data(
        info=DataInfo(classes, shape[2], shape[:2], len(train)),
        train=replace(splits["train"], labeled=labeled),
        validation=splits["validation"],
        test=splits["test"],
        mean=mean,
        std=std,
        augment=common.augment.model_dump(),
        digest=digest(classes, parts, mean, std, labeled),
        origin=known,
        notes=(describe(parts, shape, _fits(parts, common), common.split_seed), *notes),
        labeled_digest=None if labeled is None else digest(classes, labeled_parts, mean, std),
    )


def make_splits(
    parts: Parts, num_classes: int, common: Common, normalize: Normalizer
) -> dict[str, Split]:
    """What hands out batches of parts whose pictures have their size, by purpose."""
    in_memory = _fits(parts, common)
    return {
        purpose: Split(
            part=part.name,
            ids=part.ids,
            targets=part.targets,
            num_classes=num_classes,
            feed=_feed(part.pictures, _shape(part.pictures), common, in_memory),
            normalize=normalize,
            augment=common.augment,
            labels=part.targets,
        )
        for purpose, part in parts.items()
    }


def _statistics(train: Pictures, common: Common) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if common.mean is None or common.std is None:
        return channel_statistics(train)
    return tuple(common.mean), tuple(common.std)


def _shape(pictures: Pictures) -> tuple[int, int, int]:
    """(H, W, C) of an image."""
    if isinstance(pictures, InMemory):
        _, height, width, channels = pictures.images.shape
        return height, width, channels
    if pictures.frame is None:
        raise ValueError("the files have no frame yet")
    return (*pictures.frame.size, pictures.frame.channels)


def _feed(pictures: Pictures, shape: tuple[int, int, int], common: Common, in_memory: bool) -> Feed:
    if in_memory and isinstance(pictures, InMemory):
        return MemoryFeed(pictures.images, common.augment)
    return StreamFeed(pictures, shape, common.augment, common.workers, torch.device("cpu"))


def _check_labels(name: str, raw: RawDataset) -> None:
    for part, pictures in raw.parts.items():
        outside = (pictures.targets < 0) | (pictures.targets >= len(raw.classes))
        if outside.any():
            at = int(outside.nonzero()[0])
            raise UserError(
                f"dataset {name!r}: sample {at} of its {part} part has the label"
                f" {int(pictures.targets[at])}.",
                f"  its {len(raw.classes)} classes have the labels 0 to {len(raw.classes) - 1}",
            )


def _check_beside_pictures(common: Common, pictures: Pictures, shape: tuple[int, int, int]) -> None:
    """Settings that only the pictures can prove wrong."""
    height, width, channels = shape
    crop, resized = common.augment.crop, common.augment.resized_crop
    faults = [
        Fault(f"dataset.{key}", f"has {len(values)} values, and the images {channels} channels")
        for key, values in (("mean", common.mean), ("std", common.std))
        if values is not None and len(values) != channels
    ]
    if crop >= min(height, width):
        what = f"{crop} pixels of padding could crop images of {width}x{height} away"
        faults.append(Fault("dataset.augment.crop", what))
    if resized is not None and isinstance(pictures, InMemory):
        what = "is for picture files, and this set has none; use crop"
        faults.append(Fault("dataset.augment.resized_crop", what))
    if faults:
        raise ConfigError(faults)


def _each(parts: Parts, change: Callable[[Pictures], Pictures]) -> Parts:
    """All parts changed.

    Raises:
        Unreadable: names the unreadable pictures of all parts.
    """
    changed: Parts = {}
    unreadable: list[tuple[Path, str]] = []
    for purpose, part in parts.items():
        try:
            changed[purpose] = replace(part, pictures=change(part.pictures))
        except Unreadable as error:
            unreadable += error.found
    if unreadable:
        raise Unreadable(unreadable)
    return changed
