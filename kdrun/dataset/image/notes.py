"""Sentences for the user about the images of a dataset."""

import torch
from torch import Tensor

from kdrun.dataset.image.images import Images, OnDisk
from kdrun.dataset.image.settings import ImageSettings
from kdrun.dataset.image.white_level import SAMPLE
from kdrun.dataset.samples import spread
from kdrun.dataset.splits import Splits

_BLOCK = 16  # images that are looked at together


def describe_images(splits: Splits[Images], settings: ImageSettings, in_memory: bool) -> str:
    """Return a sentence on the number, size, splits and place of the images."""
    height, width, channels = splits["train"].samples.shape
    counts = ", ".join(
        f"{len(split.ids):,} for {name}"
        + ("" if split.source == name else f" (carved with split_seed {settings.split_seed})")
        for name, split in splits.items()
        if name != "train"
    )
    size = sum(split.samples.nbytes for split in splits.values())
    where = f"in memory ({size / 1e6:.0f} MB)" if in_memory else "streamed"
    return (
        f"{len(splits['train'].ids):,} images of {width}x{height}x{channels} for training,"
        f" {counts}, {where}"
    )


def note_blank_training(train: Images, labeled: Tensor | None) -> tuple[str, ...]:
    """Return warnings of equal pixels; of labeled and unlabeled images, if both are given."""
    if labeled is None:
        return note_blank(train, torch.arange(len(train)), "training")
    notes = note_blank(train, labeled.nonzero().squeeze(1), "labeled")
    return notes + note_blank(train, (~labeled).nonzero().squeeze(1), "unlabeled")


def note_blank(images: Images, positions: Tensor, name: str) -> tuple[str, ...]:
    """Return a warning if all pixels are equal, in a sample if the images are files.

    Args:
        images: the images.
        positions: (M,) which of them are looked at.
        name: which images they are, for the warning.
    """
    if isinstance(images, OnDisk):
        positions = positions[spread(len(positions), SAMPLE)]
    blocks = positions.split(_BLOCK)
    first = images.read(blocks[0])[0, 0, 0]
    if not all((images.read(block) == first).all() for block in blocks):
        return ()
    value = ", ".join(map(str, first.tolist()))
    return (
        f"warning: all {name} pixels are equal ({value}), so nothing can be learned from them: look"
        " at the files",
    )
