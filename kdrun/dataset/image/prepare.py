"""Prepares images for training: resizes, normalizes and serves them, from memory if they fit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kdrun.core.errors import ConfigError, Fault
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.types import DataInfo
from kdrun.dataset.class_selection import describe_classes
from kdrun.dataset.data import Data, Split
from kdrun.dataset.feed import Feed
from kdrun.dataset.image.feeds import MemoryFeed, StreamFeed
from kdrun.dataset.image.image_files import Unreadable, UnreadableImages
from kdrun.dataset.image.images import Images, InMemory, OnDisk
from kdrun.dataset.image.more_images import add_unlabeled
from kdrun.dataset.image.normalizer import Normalizer
from kdrun.dataset.image.notes import describe_images, note_blank_training
from kdrun.dataset.image.resize import check_headers, choose_format, into_memory, resize_images
from kdrun.dataset.image.settings import ImageSettings
from kdrun.dataset.image.statistics import ChannelStatistics, channel_statistics
from kdrun.dataset.image.white_level import check_white
from kdrun.dataset.record import digest
from kdrun.dataset.splits import Splits, SplitSamples
from kdrun.dataset.unlabeled import hide_labels

ImageSplits = Splits[Images]


def prepare_images(
    classes: tuple[str, ...],
    splits: ImageSplits,
    settings: ImageSettings,
    origin: dict[str, Any],
    notes: Sequence[str],
    tokenizers: Sequence[Mapping[str, Any]],
) -> Data:
    """Make a dataset from splits of images.

    Args:
        classes: class names in the order of the labels.
        splits: the images as they were read.
        settings: how they are resized, augmented and normalized.
        origin: which dataset this is and how it is split.
        notes: sentences for the user about how the dataset was read.
        tokenizers: images need none.

    Raises:
        ConfigError: settings that don't fit the images.
        UserError: images that can't be read.
    """
    splits = _resize(splits, settings)
    splits["train"], labeled = _hide_or_add_unlabeled(splits["train"], settings, classes)
    splits = load_or_check(splits, settings)
    train = splits["train"].samples
    _check_against_images(settings, train)
    labeled_splits = splits
    if labeled is not None:
        labeled_splits = {**splits, "train": splits["train"].select(labeled.nonzero().squeeze(1))}
    has_extra_images = isinstance(settings.unlabeled, Path)
    mean, std = _statistics(
        labeled_splits["train"].samples if has_extra_images else train, settings
    )
    inputs = ImageInputs(train.shape[2], train.shape[:2], tuple(mean), tuple(std))
    normalize = Normalizer.of(mean, std, width=train.shape[1])
    ready_splits = make_splits(splits, len(classes), settings, normalize)
    return Data(
        info=DataInfo(classes, inputs, len(train)),
        train=replace(ready_splits["train"], labeled=labeled),
        validation=ready_splits["validation"],
        test=ready_splits["test"],
        augment=settings.augment.model_dump(),
        digest=digest(classes, splits, mean, std, labeled),
        origin=origin,
        notes=(
            describe_classes(classes),
            describe_images(splits, settings, _fit_in_memory(splits, settings)),
            *notes,
            *note_blank_training(train, labeled if has_extra_images else None),
        ),
        labeled_digest=None if labeled is None else digest(classes, labeled_splits, mean, std),
    )


def load_or_check(splits: ImageSplits, settings: ImageSettings) -> ImageSplits:
    """Load images into memory if they fit; else check the headers of their files.

    Raises:
        UnreadableImages: names files that are no images.
        UserError: images of 16 bits have an unknown white.
    """
    check_white(split.samples for split in splits.values())
    return _for_each(splits, into_memory if _fit_in_memory(splits, settings) else check_headers)


def make_splits(
    splits: ImageSplits, num_classes: int, settings: ImageSettings, normalize: Normalizer
) -> dict[str, Split]:
    """Return splits that serve batches, by name.

    Args:
        splits: images of one size.
        num_classes: number of classes.
        settings: how images are augmented and read.
        normalize: turns images into inputs of a network.
    """
    in_memory = _fit_in_memory(splits, settings)
    return {
        name: Split(
            source=split.source,
            ids=split.ids,
            targets=split.targets,
            num_classes=num_classes,
            feed=_feed(split.samples, settings, in_memory),
            normalize=normalize,
            labels=split.targets,
        )
        for name, split in splits.items()
    }


def _resize(splits: ImageSplits, settings: ImageSettings) -> ImageSplits:
    """Give all images one size; files are converted when they are decoded."""
    train, image_format = splits["train"].samples, None
    if isinstance(train, OnDisk):
        try:
            image_format = choose_format(train, settings.image_size, settings.channels)
        except UnreadableImages:
            # This raises an error with the unreadable files of all splits.
            _for_each(splits, check_headers)
            raise

    def resize(images: Images) -> Images:
        if isinstance(images, OnDisk):
            return replace(images, format=image_format)
        return resize_images(images, settings.image_size, settings.channels)

    return _for_each(splits, resize)


def _hide_or_add_unlabeled(
    train: SplitSamples[Images], settings: ImageSettings, classes: tuple[str, ...]
) -> tuple[SplitSamples[Images], Tensor | None]:
    """Hide labels, or add images without labels, as `unlabeled` says.

    Returns:
        The training split, and (N,) bool: whether each sample has a label; None if all have.
    """
    if not settings.unlabeled:
        return train, None
    if isinstance(settings.unlabeled, float):
        return hide_labels(train, settings.unlabeled, classes, settings.split_seed)
    return add_unlabeled(train, settings.unlabeled)


def _fit_in_memory(splits: ImageSplits, settings: ImageSettings) -> bool:
    """Return whether images are kept in memory; resized crops need the files, at full size."""
    size = sum(split.samples.nbytes for split in splits.values())
    return size <= settings.memory_limit * 1e9 and settings.augment.resized_crop is None


def _statistics(train: Images, settings: ImageSettings) -> ChannelStatistics:
    if settings.mean is None or settings.std is None:
        return channel_statistics(train)
    return ChannelStatistics(tuple(settings.mean), tuple(settings.std))


def _feed(images: Images, settings: ImageSettings, in_memory: bool) -> Feed:
    if in_memory and isinstance(images, InMemory):
        return MemoryFeed(images.images, settings.augment)
    return StreamFeed(images, settings.augment, settings.workers, torch.device("cpu"))


def _check_against_images(settings: ImageSettings, images: Images) -> None:
    """Check the settings that only the images can prove wrong.

    Raises:
        ConfigError: a setting doesn't fit the images.
    """
    height, width, channels = images.shape
    crop, resized_crop = settings.augment.crop, settings.augment.resized_crop
    faults = [
        Fault(f"dataset.{key}", f"has {len(values)} values, and the images {channels} channels")
        for key, values in (("mean", settings.mean), ("std", settings.std))
        if values is not None and len(values) != channels
    ]
    if crop >= min(height, width):
        message = f"{crop} pixels of padding could crop images of {width}x{height} away"
        faults.append(Fault("dataset.augment.crop", message))
    if resized_crop is not None and isinstance(images, InMemory):
        message = "is for image files, and this dataset has none; use crop"
        faults.append(Fault("dataset.augment.resized_crop", message))
    if faults:
        raise ConfigError(faults)


def _for_each(splits: ImageSplits, change: Callable[[Images], Images]) -> ImageSplits:
    """Change the images of each split.

    Raises:
        UnreadableImages: names the unreadable files of all splits.
    """
    changed: ImageSplits = {}
    unreadable: list[Unreadable] = []
    for name, split in splits.items():
        try:
            changed[name] = replace(split, samples=change(split.samples))
        except UnreadableImages as error:
            unreadable += error.reasons
    if unreadable:
        raise UnreadableImages(unreadable)
    return changed
