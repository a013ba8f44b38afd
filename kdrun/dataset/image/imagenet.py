"""ImageNet 2012 (Russakovsky et al. 2015, arXiv:1409.0575): files in train/ and val/."""

from pathlib import Path

from torchvision import datasets
from torchvision.models import get_weight

from kdrun.core.errors import UserError
from kdrun.core.ranges import UnitAboveZero
from kdrun.dataset.folder_layout import class_folders
from kdrun.dataset.image.folder import list_images
from kdrun.dataset.image.images import OnDisk
from kdrun.dataset.samples import RawDataset
from kdrun.dataset.settings import Folder

_CLASSES = 1000
_ARCHIVES = (
    "ILSVRC2012_devkit_t12.tar.gz",
    "ILSVRC2012_img_train.tar",
    "ILSVRC2012_img_val.tar",
)


def read_imagenet(root: Folder, download: bool, center: UnitAboveZero) -> RawDataset[OnDisk]:
    """Read ImageNet; its public validation split serves as the test split.

    Args:
        root: the folder with train/ and val/, or with the archives that contain them.
        download: whether torchvision may unpack the archives, which users must get themselves.
        center: share of a resized image that the center crop keeps.

    Raises:
        UserError: neither the folders nor the archives exist.
    """
    if not _is_unpacked(root):
        _unpack(root, download)
    folders = class_folders(root / "train")
    return RawDataset(
        _class_names(folders),
        list_images(root / "train", folders, center),
        test=list_images(root / "val", folders, center),
        notes=("ImageNet's public validation split is the test split",),
    )


def _is_unpacked(root: Path) -> bool:
    return bool(class_folders(root / "train") and class_folders(root / "val"))


def _unpack(root: Path, download: bool) -> None:
    missing = [name for name in _ARCHIVES if not (root / name).is_file()]
    if missing or not download:
        raise UserError(
            f"dataset 'imagenet' is not in {str(root)!r}.",
            f"  expected: {root}/train/n01440764/*.JPEG and {root}/val/n01440764/*.JPEG,",
            f"  or from image-net.org, with dataset.download=true: {', '.join(_ARCHIVES)}",
            "  name its folder with dataset.root=FOLDER",
        )
    try:
        for split in ("train", "val"):
            datasets.ImageNet(root, split=split)
    except (OSError, RuntimeError) as error:
        raise UserError(f"the archives of 'imagenet' can't be unpacked: {error}") from error


def _class_names(folders: list[str]) -> tuple[str, ...]:
    """Return English names if all classes are there, else the folders' names from WordNet."""
    if len(folders) != _CLASSES:
        return tuple(folders)
    return tuple(get_weight("ResNet50_Weights.IMAGENET1K_V1").meta["categories"])
