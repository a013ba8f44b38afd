"""A folder of images without labels, added to the training images."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kdrun.dataset.image.folder import list_all_images
from kdrun.dataset.image.image_files import ImageFormat
from kdrun.dataset.image.images import Images, InMemory, OnDisk
from kdrun.dataset.image.resize import into_memory
from kdrun.dataset.image.white_level import check_white
from kdrun.dataset.splits import SplitSamples
from kdrun.dataset.unlabeled import KEY


def add_unlabeled(split: SplitSamples[Images], folder: Path) -> tuple[SplitSamples[Images], Tensor]:
    """Add a folder's images to a split, converted to the size of the split's images.

    Returns:
        The larger split, and (N,) bool: whether each sample has a label.

    Raises:
        UserError: the folder has no images, or images of 16 bits have an unknown white.
    """
    more = _convert(list_all_images(KEY, folder), split.samples)
    count = len(split.ids)
    ids = torch.cat([split.ids, int(split.ids.max()) + 1 + torch.arange(len(more))])
    labeled = torch.arange(len(ids)) < count
    return replace(split, ids=ids, samples=_join(split.samples, more)), labeled


def _convert(files: OnDisk, others: Images) -> Images:
    """Convert files to the size and channels of other images, in memory if those are there."""
    check_white([files])
    if isinstance(others, OnDisk):
        return replace(files, format=others.format)
    height, width, channels = others.shape
    image_format = ImageFormat((height, width), channels, max(height, width))
    return into_memory(replace(files, format=image_format))


def _join(images: Images, more: Images) -> Images:
    targets = torch.cat([images.targets, more.targets])
    if isinstance(images, InMemory) and isinstance(more, InMemory):
        return InMemory(torch.cat([images.images, more.images]), targets)
    if not isinstance(images, OnDisk) or not isinstance(more, OnDisk):
        raise TypeError("images in memory and on disk can't be joined")
    relative = os.fsencode(os.path.relpath(more.root, images.root)) + b"/"
    names = [*images.names.tolist(), *(relative + name for name in more.names.tolist())]
    sizes = np.concatenate([images.sizes, more.sizes])
    return replace(images, names=np.array(names), sizes=sizes, targets=targets)
