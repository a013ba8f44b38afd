"""Merges the classes of a dataset into concepts; the splits stay as they are."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

import torch
from torch import Tensor

from kdrun.core.class_merge import Merge
from kdrun.core.faults import Faults
from kdrun.dataset.class_selection import choose_classes, describe_classes
from kdrun.dataset.data import Data
from kdrun.dataset.settings import ClassReference


def merge_classes(data: Data, concepts: Mapping[str, Sequence[ClassReference]], where: str) -> Data:
    """Return the samples in the same splits, with concepts as labels.

    The dataset is split before the merge, so that no sample that a teacher of all classes was
    trained on is validated or tested on here. Mean, deviation and image size stay, so that
    teacher and student get the same inputs.

    Args:
        data: the dataset with the classes of the teacher.
        concepts: name of a concept -> the classes that it merges; samples of other classes are
            left out.
        where: the config key of the concepts, for messages.

    Raises:
        ConfigError: classes that don't exist or are named twice, a concept without classes, fewer
            than two concepts, or a concept without samples in a split.
    """
    faults = Faults()
    for name, classes in concepts.items():
        if not classes:
            faults.add(f"{where}.{name}", "merges no class; name some or leave it out")
    with faults.under(where):
        names, table = choose_classes(data.info.classes, None, concepts, where)
    faults.raise_if_any()
    _require_samples(data, names, table, where)
    labels = range(len(names))
    groups = [tuple(torch.nonzero(table == label).flatten().tolist()) for label in labels]
    merge = Merge(data.info.classes, tuple(groups))
    train = data.train.relabel(table, len(names))
    return replace(
        data,
        info=replace(data.info, classes=names, train_size=train.size, merge=merge),
        train=train,
        validation=data.validation.relabel(table, len(names)),
        test=data.test.relabel(table, len(names)),
        digest=_digest(data.digest, names, merge),
        notes=(*data.notes, describe_classes(names, "concepts")),
        labeled_digest=data.labeled_digest and _digest(data.labeled_digest, names, merge),
    )


def _digest(digest: str, names: tuple[str, ...], merge: Merge) -> str:
    # Digests are in files: this text must stay, whatever the fields of Merge are called.
    merged = f"Merge(known={merge.known!r}, groups={merge.groups!r})"
    return blake2b(f"{digest} {names} {merged}".encode(), digest_size=20).hexdigest()


def _require_samples(data: Data, names: Sequence[str], table: Tensor, where: str) -> None:
    """Check that each concept has a labeled training sample, and that no split is empty."""
    counts = table[data.train.targets[data.train.has_label]]
    sizes = counts[counts >= 0].bincount(minlength=len(names)).tolist()
    faults = Faults()
    for name, size in zip(names, sizes, strict=True):
        if not size:
            faults.add(f"{where}.{name}", "has no training sample; use a larger dataset.subset")
    for split in ("validation", "test"):
        if (table[getattr(data, split).targets] < 0).all():
            faults.add(where, f"leaves no {split} sample; name more classes")
    faults.raise_if_any()
