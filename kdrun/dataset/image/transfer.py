"""Reads a folder of images of another domain: for training without labels, and for testing."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch

from kdrun.core.errors import UserError
from kdrun.core.home import in_home
from kdrun.core.inputs.image import image_inputs
from kdrun.core.unknown import nearest
from kdrun.dataset.config_node import read_settings
from kdrun.dataset.data import Data
from kdrun.dataset.folder_layout import class_folders, split_folders
from kdrun.dataset.image.folder import list_all_images, list_images
from kdrun.dataset.image.image_files import ImageFormat
from kdrun.dataset.image.images import OnDisk
from kdrun.dataset.image.normalizer import Normalizer
from kdrun.dataset.image.notes import note_blank
from kdrun.dataset.image.prepare import ImageSplits, load_or_check, make_splits
from kdrun.dataset.record import digest
from kdrun.dataset.splits import Splits, SplitSamples, carve, note_empty_classes, number

_TESTED_ON = ("test", "validation")  # the first that the folder has is tested on


def transfer_data(node: Mapping[str, Any], data: Data, folder: str, where: str) -> Data:
    """Return a dataset that is trained on the images of a folder, without labels.

    They are resized and normalized as the dataset's images are. If the folder has class folders
    with the names of the dataset's classes, its images are tested on as well: those in test/, else
    those in val/, else the share of its images that `dataset.test` says.

    Args:
        node: the dataset's config node.
        data: the dataset.
        folder: a folder with images, with class folders, or with train/ and perhaps test/ or val/.
        where: the config key of the folder, for the messages.

    Returns:
        The folder's images for training, the dataset's validation split, and the folder's test
        split. If the folder has no labels: the dataset's test split, and an empty domain.

    Raises:
        UserError: the dataset is of texts, there are no images, or only some class folders are
            named like classes.
    """
    inputs = image_inputs(data.info.inputs, where)
    root = in_home(folder)
    settings, arguments = read_settings(node)
    files = _read_folder(root, data.info.classes, settings.test, settings.split_seed, where)
    height, width = inputs.image_size
    side = round(max(height, width) / arguments.get("center", 1.0))
    image_format = ImageFormat((height, width), inputs.channels, side)
    splits: ImageSplits = {
        name: SplitSamples(split.source, split.ids, replace(split.samples, format=image_format))
        for name, split in files.items()
    }
    splits = load_or_check(splits, settings)
    normalize = Normalizer.of(inputs.mean, inputs.std, width)
    ready_splits = make_splits(splits, data.info.num_classes, settings, normalize)
    train, test = ready_splits["train"], ready_splits.get("test")
    train = replace(train, labeled=torch.zeros(train.size, dtype=torch.bool))
    domain = _domain_name(root, node["name"]) if test else ""
    notes = [
        _describe(root, splits),
        *note_blank(splits["train"].samples, torch.arange(train.size), "the folder's"),
    ]
    if test:
        notes += note_empty_classes(f"test split of {domain}", test.targets, data.info.classes)
    images_digest = digest(data.info.classes, splits, inputs.mean, inputs.std)
    return replace(
        data,
        info=replace(data.info, train_size=train.size),
        train=train,
        test=test or data.test,
        digest=blake2b(f"{data.digest} {images_digest}".encode(), digest_size=20).hexdigest(),
        origin={**data.origin, "transfer": str(root.resolve())},
        notes=tuple(notes),
        labeled_digest=None,
        domain=domain,
    )


def _read_folder(
    root: Path, classes: tuple[str, ...], test_share: float, seed: int, where: str
) -> Splits[OnDisk]:
    """Read the training images, with all labels 0, and the test images if the folder has labels."""
    folders = split_folders(root)
    test_folders = {name: folders[name] for name in _TESTED_ON if name in folders}
    folder = folders.get("train", root)
    if test_folders and folder == root:
        name = next(iter(test_folders.values())).name
        raise UserError(
            f"the folder {str(root)!r} of {where} has {name}/ and no train/.",
            "  put the images to learn from into train/",
        )
    splits: Splits[OnDisk] = {}
    labeled_tests = [
        (name, _read_labeled(path, classes, where)) for name, path in test_folders.items()
    ]
    for name, files in labeled_tests:
        if files is not None and "test" not in splits:
            splits["test"] = number(name, files)
    labeled = _read_labeled(folder, classes, where) if not test_folders else None
    if labeled is not None:
        train, splits["test"] = carve(number("train", labeled), test_share, seed, "test")
    else:
        train = number("train", list_all_images(where, folder))
    if len(train.ids) < 2:
        raise UserError(
            f"the folder {str(folder)!r} of {where} has one image to learn from.",
            "  put more images in",
        )
    unlabeled = train.samples.relabel(torch.zeros_like(train.targets))
    return {"train": replace(train, samples=unlabeled), **splits}


def _read_labeled(folder: Path, classes: tuple[str, ...], where: str) -> OnDisk | None:
    """Read the class folders with names of the dataset's classes; None if there are none.

    Raises:
        UserError: only some folders have such a name.
    """
    folders = class_folders(folder)
    unknown = [name for name in folders if name not in classes]
    if len(unknown) == len(folders):
        return None
    if unknown:
        close = ", ".join(nearest(unknown[0], classes))
        raise UserError(
            f"{str(folder)!r} of {where} has class folders, and no class of the dataset is called"
            f" {unknown[0]!r}" + (f"; nearest: {close}." if close else "."),
            "  rename the folder, or take it out: other folders there have the names of classes",
        )
    return list_images(folder, list(classes), center=1.0)


def _describe(root: Path, splits: ImageSplits) -> str:
    """Return a sentence on how many images are learned from and tested on."""
    start = f"{len(splits['train'].ids):,} images of {str(root)!r} are learned from without labels"
    if "test" not in splits:
        return f"{start}; none is tested on, as no class folder has the name of a class"
    source = splits["test"].source
    where = "carved from them" if source == "train" else f"in {split_folders(root)[source].name}/"
    return f"{start}; {len(splits['test'].ids):,} others, {where}, are tested on"


def _domain_name(root: Path, dataset: str) -> str:
    """Return the folder's name, marked if it is the dataset's name too."""
    name = root.resolve().name or "transfer"
    return f"{name} (transfer)" if name == dataset else name
