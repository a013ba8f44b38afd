"""Training samples without labels: some of the set's own whose labels are hidden, or a folder's."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.dataset.image.folder import loose_pictures
from kdrun.dataset.image.frames import Frame
from kdrun.dataset.image.pictures import InMemory, OnDisk, Pictures
from kdrun.dataset.image.reshape import into_memory
from kdrun.dataset.splits import Part, stratify

WHERE = "dataset.unlabeled"


def with_unlabeled(
    part: Part, unlabeled: float | Path | None, classes: tuple[str, ...], seed: int
) -> tuple[Part, Tensor | None]:
    """A training part with samples that have no labels, and which of its samples have one.

    Args:
        part: its pictures have a size.
        unlabeled: the share whose labels are hidden, the same of each class; or a folder of more
            pictures; None leaves it as it is.
        classes: names of the part's classes.
        seed: decides whose labels are hidden.

    Returns:
        The part, and (N,) bool; None where all have labels.

    Raises:
        UserError: a class keeps no label, or the folder can't be used.
    """
    if not unlabeled:
        return part, None
    if isinstance(unlabeled, float):
        return _hide(part, unlabeled, classes, seed)
    more = _like(part.pictures, loose_pictures(WHERE, unlabeled))
    count = len(part.ids)
    ids = torch.cat([part.ids, int(part.ids.max()) + 1 + torch.arange(len(more))])
    labeled = torch.arange(len(ids)) < count
    return replace(part, ids=ids, pictures=_join(part.pictures, more)), labeled


def _hide(
    part: Part, share: float, classes: tuple[str, ...], seed: int
) -> tuple[Part, Tensor | None]:
    hidden = stratify(part.targets, round(share * len(part.ids)), seed, "unlabeled")
    labeled = torch.ones(len(part.ids), dtype=torch.bool)
    labeled[hidden] = False
    left = part.targets[labeled].bincount(minlength=len(classes)).tolist()
    without = [name for name, count in zip(classes, left, strict=True) if not count]
    if without and share < 1:
        shown = ", ".join(repr(name) for name in without[:5]) + (", ..." if without[5:] else "")
        raise UserError(
            f"no label is left of {len(without)} of {len(classes)} classes: {shown}.",
            f"  hide fewer with a smaller {WHERE}; 1 hides all, for a teacher of another run",
        )
    targets = part.targets.where(labeled, 0)
    return replace(part, pictures=replace(part.pictures, targets=targets)), labeled


def _like(pictures: Pictures, files: OnDisk) -> Pictures:
    """Files read in the size and channels of other pictures, in memory if these are."""
    if isinstance(pictures, OnDisk):
        return replace(files, frame=pictures.frame)
    _, height, width, channels = pictures.images.shape
    return into_memory(replace(files, frame=Frame((height, width), channels, max(height, width))))


def _join(pictures: Pictures, more: Pictures) -> Pictures:
    targets = torch.cat([pictures.targets, more.targets])
    if isinstance(pictures, InMemory) and isinstance(more, InMemory):
        return InMemory(torch.cat([pictures.images, more.images]), targets)
    if not isinstance(pictures, OnDisk) or not isinstance(more, OnDisk):
        raise TypeError("pictures in memory and on disk can't be joined")
    to = os.fsencode(os.path.relpath(more.root, pictures.root)) + b"/"
    names = [*pictures.names.tolist(), *(to + name for name in more.names.tolist())]
    sizes = np.concatenate([pictures.sizes, more.sizes])
    return replace(pictures, names=np.array(names), sizes=sizes, targets=targets)
