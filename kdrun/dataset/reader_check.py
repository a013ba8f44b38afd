"""Checks what a dataset's reader returned, before anything is made of it."""

from typing import Any

import torch
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.dataset.image.images import InMemory
from kdrun.dataset.samples import RawDataset, Samples


def check_samples(dataset: str, raw: RawDataset[Any]) -> None:
    """Check the images and labels of each split.

    Args:
        dataset: the dataset's name, for the messages.
        raw: what its reader returned.

    Raises:
        UserError: images of another form than `InMemory` says, an image without a label or with
            several, or a label that no class has.
    """
    for name, samples in raw.splits.items():
        if isinstance(samples, InMemory):
            _check_images(dataset, name, samples.images)
        _check_form(dataset, name, samples)
        _check_range(dataset, name, samples.targets, len(raw.classes))


def _check_images(dataset: str, split: str, images: Tensor) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise UserError(
            f"dataset {dataset!r}: the images of its {split} split are {_form(images)}.",
            "  they must be (N, H, W, C) uint8, with 1 or 3 channels",
        )


def _check_form(dataset: str, split: str, samples: Samples) -> None:
    """Check that there are samples, and one label for each."""
    count, targets = len(samples), samples.targets
    if targets.ndim != 1 or targets.dtype != torch.int64:
        raise UserError(
            f"dataset {dataset!r}: the labels of its {split} split are {_form(targets)}.",
            f"  they must be ({count},) int64, one class for each sample; samples of several"
            " classes at once (multi-hot labels) can't be learned",
        )
    if count != len(targets):
        raise UserError(
            f"dataset {dataset!r}: its {split} split has {count} images and {len(targets)} labels.",
            "  each image must have one label; get the files of the dataset anew",
        )
    if not count:
        raise UserError(
            f"dataset {dataset!r}: its {split} split has no images.",
            "  each split that a dataset has must have one or more",
        )


def _check_range(dataset: str, split: str, targets: Tensor, num_classes: int) -> None:
    outside = (targets < 0) | (targets >= num_classes)
    if outside.any():
        position = int(outside.nonzero()[0])
        raise UserError(
            f"dataset {dataset!r}: sample {position} of its {split} split has the label"
            f" {int(targets[position])}.",
            f"  its {num_classes} classes have the labels 0 to {num_classes - 1}",
        )


def _form(tensor: Tensor) -> str:
    """Return the shape and dtype of a tensor, such as `(60, 28, 28) float32`."""
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
