"""A dataset with its classes merged into concepts, split as it was before."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

import torch
from torch import Tensor

from kdrun.core.class_merge import Merge
from kdrun.core.errors import ConfigError, Fault
from kdrun.core.faults import Faults
from kdrun.dataset.data import Data
from kdrun.dataset.select import Reference, choose_classes


def merge_classes(data: Data, concepts: Mapping[str, Sequence[Reference]], where: str) -> Data:
    """The same samples in the same splits, with concepts for labels.

    The splits are those of all the classes: what a teacher of these was trained on is in no
    other split here. Means, deviations and sizes stay, so that both see the same inputs.

    Args:
        data: with the classes that a teacher knows.
        concepts: new classes -> those that they join; samples of others are left out.
        where: their key in the config, for the messages.

    Raises:
        ConfigError: classes that are not there or are named twice, a concept without any, fewer
            than two concepts, or one that no sample of a split has.
    """
    faults = Faults()
    for name, classes in concepts.items():
        if not classes:
            faults.add(f"{where}.{name}", "joins no class; name some or leave it out")
    if len(concepts) < 2:
        what = f"has {len(concepts)} concept{'' if concepts else 's'}"
        faults.add(where, f"{what}, and telling apart takes two or more")
    with faults.under(where):
        names, table = choose_classes(data.info.classes, None, concepts, where)
    if faults:
        raise ConfigError([fault for fault in faults if fault.where.startswith(where)])
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
        labeled_digest=data.labeled_digest and _digest(data.labeled_digest, names, merge),
    )


def _digest(digest: str, names: tuple[str, ...], merge: Merge) -> str:
    return blake2b(f"{digest} {names} {merge}".encode(), digest_size=20).hexdigest()


def _require_samples(data: Data, names: Sequence[str], table: Tensor, where: str) -> None:
    """Each concept has something to be learned from, and every split something to measure."""
    counts = table[data.train.targets[data.train.known]]
    sizes = counts[counts >= 0].bincount(minlength=len(names)).tolist()
    faults = [
        Fault(f"{where}.{name}", "has no training sample; use a larger dataset.subset")
        for name, size in zip(names, sizes, strict=True)
        if not size
    ]
    for purpose in ("validation", "test"):
        if (table[getattr(data, purpose).targets] < 0).all():
            faults.append(Fault(where, f"leaves no {purpose} sample; name more classes"))
    if faults:
        raise ConfigError(faults)
