"""Images of another domain: a folder to learn from without labels, and its part to test on."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch

from kdrun.core.errors import UserError
from kdrun.core.unknown import nearest
from kdrun.dataset.assemble import make_splits, settle
from kdrun.dataset.data import Data
from kdrun.dataset.image.folder import class_folders, list_pictures, loose_pictures
from kdrun.dataset.image.frames import Frame
from kdrun.dataset.image.pictures import OnDisk
from kdrun.dataset.record import digest
from kdrun.dataset.settings import read_settings
from kdrun.dataset.splits import Part, Parts, carve, number

_TESTS = ("test", "val")


def transfer_data(node: Mapping[str, Any], data: Data, folder: str, where: str) -> Data:
    """The folder's images without their labels, beside a dataset's validation split.

    They are brought to the dataset's size and normalized as its own. Where class folders are
    named like the dataset's classes there is a test split: test/, else val/, else a share of
    what is there, as large as `dataset.test` says.

    Args:
        node: the dataset's config node.
        data: what it describes.
        folder: flat, or with class folders, or with train/ and perhaps test/ or val/.
        where: its key in the config, for the messages.

    Returns:
        Training without labels, the dataset's validation, and the folder's test split; that of
        the dataset, and no name of a domain, where the folder has no labels.

    Raises:
        UserError: there is no image, or some class folders of the test part are no classes.
    """
    root = Path(folder).expanduser()
    common, _ = read_settings(node)
    parts = _read(root, data.info.classes, common.test, common.split_seed, where)
    height, width = data.info.image_size
    side = round(max(height, width) / node.get("center", 1.0))
    frame = Frame((height, width), data.info.channels, side)
    parts = settle({purpose: _framed(part, frame) for purpose, part in parts.items()}, common)
    made = make_splits(parts, data.info.num_classes, common, data.validation.normalize)
    train, test = made["train"], made.get("test")
    train = replace(train, labeled=torch.zeros(train.size, dtype=torch.bool))
    own = digest(data.info.classes, parts, data.mean, data.std)
    return replace(
        data,
        info=replace(data.info, train_size=train.size),
        train=train,
        test=test or data.test,
        digest=blake2b(f"{data.digest} {own}".encode(), digest_size=20).hexdigest(),
        origin={**data.origin, "transfer": str(root.resolve())},
        notes=(_told(root, parts),),
        labeled_digest=None,
        domain=_called(root, node["name"]) if test else "",
    )


def _read(root: Path, classes: tuple[str, ...], share: float, seed: int, where: str) -> Parts:
    """What is learned from, without labels, and what is tested on if labels are there."""
    others = {name: root / name for name in _TESTS if (root / name).is_dir()}
    folder = root / "train" if (root / "train").is_dir() else root
    if others and folder == root:
        raise UserError(
            f"the folder {str(root)!r} of {where} has {next(iter(others))}/ and no train/.",
            "  put what is to be learned from into train/",
        )
    parts: Parts = {}
    tests = [(name, _labeled(place, classes, where)) for name, place in others.items()]
    for name, files in tests:
        if files is not None and "test" not in parts:
            parts["test"] = number("validation" if name == "val" else name, files)
    labeled = _labeled(folder, classes, where) if not others else None
    if labeled is not None:
        left, parts["test"] = carve(number("train", labeled), share, seed, "test")
    else:
        left = number("train", loose_pictures(where, folder))
    if len(left.ids) < 2:
        raise UserError(
            f"the folder {str(folder)!r} of {where} has one image to learn from.",
            "  put more in",
        )
    hidden = replace(left.pictures, targets=torch.zeros_like(left.targets))
    return {"train": replace(left, pictures=hidden), **parts}


def _labeled(folder: Path, classes: tuple[str, ...], where: str) -> OnDisk | None:
    """Images in class folders of the dataset's names; None where no folder has one.

    Raises:
        UserError: some have, and some have not.
    """
    found = class_folders(folder)
    unknown = [name for name in found if name not in classes]
    if len(unknown) == len(found):
        return None
    if unknown:
        close = nearest(unknown[0], classes)
        raise UserError(
            f"{str(folder)!r} of {where} has class folders, and no class of the dataset is called"
            f" {unknown[0]!r}" + (f"; nearest: {close}." if close else "."),
            "  rename the folder, or take it out: others there have the names of classes",
        )
    return list_pictures(folder, list(classes), center=1.0)


def _framed(part: Part, frame: Frame) -> Part:
    if not isinstance(part.pictures, OnDisk):
        raise TypeError("a folder's pictures are files")
    return replace(part, pictures=replace(part.pictures, frame=frame))


def _told(root: Path, parts: Parts) -> str:
    """What is learned from and what is tested on, in a sentence."""
    start = f"{len(parts['train'].ids):,} images of {str(root)!r} are learned from without labels"
    if "test" not in parts:
        return f"{start}; none is tested on, as no class folder has the name of a class"
    name = parts["test"].name
    place = "carved from them" if name == "train" else f"in {'val' if name != 'test' else name}/"
    return f"{start}; {len(parts['test'].ids):,} others, {place}, are tested on"


def _called(root: Path, dataset: str) -> str:
    """The name of the domain, another than the dataset's."""
    name = root.resolve().name or "transfer"
    return f"{name} (transfer)" if name == dataset else name
