"""Parts of a dataset and how they are split: seeded, with the classes' shares kept."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from kdrun.core.errors import ConfigError, Fault, UserError
from kdrun.core.seeds import generator
from kdrun.dataset.image.pictures import Pictures


@dataclass(frozen=True)
class Part:
    """Samples and where they come from.

    Attributes:
        name: the part of the original set: train, validation or test.
        ids: (N,) int64 positions in it, ascending.
        pictures: the samples.
    """

    name: str
    ids: Tensor
    pictures: Pictures

    @property
    def targets(self) -> Tensor:
        return self.pictures.targets

    def select(self, positions: Tensor) -> Self:
        """Only these."""
        return replace(self, ids=self.ids[positions], pictures=self.pictures.select(positions))

    def relabel(self, table: Tensor) -> Self:
        """New labels by a table of the old ones; samples whose new label is -1 are left out."""
        chosen = table[self.targets] >= 0
        kept = self if chosen.all() else self.select(chosen.nonzero().squeeze(1))
        return replace(kept, pictures=replace(kept.pictures, targets=table[kept.targets]))


Parts = dict[str, Part]  # by purpose: train, validation, test


def number(name: str, pictures: Pictures) -> Part:
    """A whole part, numbered from 0."""
    return Part(name, torch.arange(len(pictures)), pictures)


def carve(part: Part, share: float, seed: int, purpose: str) -> tuple[Part, Part]:
    """Take a share of a part away for another purpose, at least one sample.

    Returns:
        What is left, and what was taken.
    """
    count = max(1, round(share * len(part.ids)))
    taken = stratify(part.targets, count, seed, purpose)
    left = torch.ones(len(part.ids), dtype=torch.bool)
    left[taken] = False
    return part.select(left.nonzero().squeeze(1)), part.select(taken)


def take_subset(part: Part, subset: int | float | None, seed: int) -> Part:
    """A number or a fraction of a part's samples; all of them for None.

    Raises:
        ConfigError: more samples are asked for than there are.
    """
    if subset is None:
        return part
    size = len(part.ids)
    count = subset if isinstance(subset, int) else max(1, round(subset * size))
    if count > size:
        raise ConfigError(
            [Fault("dataset.subset", f"{count} samples of {size} that there are for training")]
        )
    return part.select(stratify(part.targets, count, seed, "subset"))


def stratify(targets: Tensor, count: int, seed: int, purpose: str) -> Tensor:
    """Choose samples so that each class keeps its share, up to rounding.

    Args:
        targets: (N,) labels.
        count: how many to choose.
        seed: with the purpose, decides which.
        purpose: the name of the stream of random numbers.

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


def require_every_class(part: Part, classes: tuple[str, ...]) -> None:
    """Each class has something to be learned from.

    Raises:
        UserError: some have no training sample; they are named.
    """
    sizes = part.targets.bincount(minlength=len(classes)).tolist()
    without = [name for name, size in zip(classes, sizes, strict=True) if not size]
    if without:
        shown = ", ".join(repr(name) for name in without[:5]) + (", ..." if without[5:] else "")
        raise UserError(
            f"no training sample is left of {len(without)} of {len(classes)} classes: {shown}.",
            "  use a larger dataset.subset or a smaller dataset.validation,"
            " or leave the class out with dataset.classes",
        )


def _quotas(sizes: Tensor, count: int) -> Tensor:
    """How many of each class: its share rounded down, the rest by largest remainder."""
    shares = sizes * count
    quotas = shares // sizes.sum()
    remainders = shares % sizes.sum()
    largest = remainders.argsort(descending=True, stable=True)
    quotas[largest[: count - int(quotas.sum())]] += 1
    return quotas
