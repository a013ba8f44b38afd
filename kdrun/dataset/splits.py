"""Training, validation and test samples: seeded, stratified splits."""

from dataclasses import dataclass, replace
from typing import Any, Generic, Self

import torch
from torch import Tensor

from kdrun.core.errors import ConfigError, Fault, UserError
from kdrun.core.seeds import generator
from kdrun.dataset.samples import S


@dataclass(frozen=True)
class SplitSamples(Generic[S]):
    """The samples of one split: train, validation or test.

    Attributes:
        source: the split of the original dataset that they come from; validation samples usually
            come from its training split.
        ids: (N,) int64 positions in the source, ascending.
        samples: the samples as they were read.
    """

    source: str
    ids: Tensor
    samples: S

    @property
    def targets(self) -> Tensor:
        return self.samples.targets

    def select(self, positions: Tensor) -> Self:
        """Return the samples at these positions."""
        return replace(self, ids=self.ids[positions], samples=self.samples.select(positions))

    def relabel(self, table: Tensor) -> Self:
        """Map old labels to new ones by a table; samples whose new label is -1 are left out."""
        kept_mask = table[self.targets] >= 0
        kept = self if kept_mask.all() else self.select(kept_mask.nonzero().squeeze(1))
        return replace(kept, samples=kept.samples.relabel(table[kept.targets]))


Splits = dict[str, SplitSamples[S]]  # by name: train, validation, test


def number(source: str, samples: S) -> SplitSamples[S]:
    """Return all samples of a source split, numbered from 0."""
    return SplitSamples(source, torch.arange(len(samples)), samples)


def carve(
    split: SplitSamples[S], share: float, seed: int, purpose: str
) -> tuple[SplitSamples[S], SplitSamples[S]]:
    """Move a share of a split, at least one sample, to a new split.

    Args:
        share: between 0 and 1.
        seed: decides which samples are moved, together with the purpose.
        purpose: the name of the new split.

    Returns:
        The samples that remain, and those that were moved.
    """
    count = max(1, round(share * len(split.ids)))
    moved = stratify(split.targets, count, seed, purpose)
    remains = torch.ones(len(split.ids), dtype=torch.bool)
    remains[moved] = False
    return split.select(remains.nonzero().squeeze(1)), split.select(moved)


def take_subset(split: SplitSamples[S], subset: int | float | None, seed: int) -> SplitSamples[S]:
    """Return a number or a fraction of a split's samples; all of them for None.

    Raises:
        ConfigError: the split has fewer samples than the subset should have.
    """
    if subset is None:
        return split
    size = len(split.ids)
    count = subset if isinstance(subset, int) else max(1, round(subset * size))
    if count > size:
        message = f"{count} samples were asked for, and the training split has {size}"
        raise ConfigError([Fault("dataset.subset", message)])
    return split.select(stratify(split.targets, count, seed, "subset"))


def stratify(targets: Tensor, count: int, seed: int, purpose: str) -> Tensor:
    """Choose samples so that each class keeps its share, up to rounding.

    Args:
        targets: (N,) labels.
        count: number of samples to choose.
        seed: decides the choice, together with the purpose.
        purpose: name of the stream of random numbers.

    Returns:
        (count,) positions, ascending.
    """
    shuffled = torch.randperm(len(targets), generator=generator(seed, "split", purpose))
    by_class = shuffled[targets[shuffled].argsort(stable=True)]
    sizes = targets.bincount()
    first = sizes.cumsum(0) - sizes
    labels = targets[by_class]
    rank = torch.arange(len(targets)) - first[labels]
    return by_class[rank < _quotas(sizes, count)[labels]].sort().values


def require_every_class(split: SplitSamples[Any], classes: tuple[str, ...]) -> None:
    """Check that each class has a training sample.

    Raises:
        UserError: a class has none; the message names all such classes.
    """
    empty = list_empty_classes(split.targets, classes)
    if empty:
        raise UserError(
            f"no training sample is left of {empty}.",
            "  use a larger dataset.subset or a smaller dataset.validation,"
            " or leave the class out with dataset.classes",
        )


def empty_classes(targets: Tensor, classes: tuple[str, ...]) -> list[str]:
    """Return the classes that have no samples."""
    sizes = targets.bincount(minlength=len(classes)).tolist()
    return [name for name, size in zip(classes, sizes, strict=True) if not size]


def list_empty_classes(targets: Tensor, classes: tuple[str, ...]) -> str:
    """Return a text with the classes that have no samples; "" if there are none."""
    empty = empty_classes(targets, classes)
    if not empty:
        return ""
    names = ", ".join(repr(name) for name in empty[:5]) + (", ..." if empty[5:] else "")
    return f"{len(empty)} of {len(classes)} classes: {names}"


def note_empty_classes(split: str, targets: Tensor, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return a note on the classes that a split for measuring has no samples of, if any."""
    empty = list_empty_classes(targets, classes)
    if not empty:
        return ()
    return (f"the {split} has no sample of {empty}; macro precision, recall and F1 count 0 there",)


def _quotas(sizes: Tensor, count: int) -> Tensor:
    """Return how many samples to take from each class: shares rounded by largest remainder."""
    shares = sizes * count
    quotas = shares // sizes.sum()
    remainders = shares % sizes.sum()
    largest = remainders.argsort(descending=True, stable=True)
    quotas[largest[: count - int(quotas.sum())]] += 1
    return quotas
