"""Protocols that split samples repeatedly: some choose thresholds, the others are measured.

Splits are stratified: both parts have the same shares of classes, as far as counts allow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kdrun.core.errors import UserError
from kdrun.core.ranges import AtLeastTwo, OpenUnit

PROTOCOLS = {
    "kfold": "kdrun.measure.protocols:KFold",
    "random": "kdrun.measure.protocols:RandomSamples",
    "ratios": "kdrun.measure.protocols:Ratios",
}


@dataclass(frozen=True)
class SampleSplit:
    """The samples of one repetition.

    Attributes:
        group: the name of the repetitions that are summarized together, such as `3 folds`.
        choosing: (N,) positions of the samples that choose.
        measured: (M,) positions of the samples that are measured; none of them chooses.
    """

    group: str
    choosing: np.ndarray
    measured: np.ndarray


class SplitProtocol(Protocol):
    """Determines how samples are split in each repetition."""

    def splits(self, targets: np.ndarray, seed: int) -> Iterator[SampleSplit]:
        """Yield a split for each repetition.

        Args:
            targets: (N,) labels.
            seed: the seed of random splits.

        Raises:
            UserError: there are too few samples.
        """
        ...


class KFold:
    """Cross-validation: each fold is measured once, with thresholds that the other folds chose.

    Args:
        folds: the number of folds.
    """

    def __init__(self, folds: AtLeastTwo) -> None:
        self.folds = folds

    def splits(self, targets: np.ndarray, seed: int) -> Iterator[SampleSplit]:
        from sklearn.model_selection import StratifiedKFold

        _require_samples(targets, self.folds)
        splitter = StratifiedKFold(self.folds, shuffle=True, random_state=seed % 2**32)
        for choosing, measured in splitter.split(targets, targets):
            yield SampleSplit(f"{self.folds} folds", choosing, measured)


class RandomSamples:
    """Random samples choose, and all other samples are measured.

    Args:
        repeats: the number of repetitions.
        share: the share of the samples that choose.
    """

    def __init__(self, repeats: AtLeastTwo, share: OpenUnit) -> None:
        self.repeats, self.share = repeats, share

    def splits(self, targets: np.ndarray, seed: int) -> Iterator[SampleSplit]:
        yield from _random_splits(targets, self.repeats, self.share, seed)


class Ratios:
    """Random samples of several sizes choose, and all other samples are measured.

    Args:
        repeats: the number of repetitions for each size.
        shares: the shares of the samples that choose.
    """

    def __init__(self, repeats: AtLeastTwo, shares: list[OpenUnit]) -> None:
        self.repeats, self.shares = repeats, shares

    def splits(self, targets: np.ndarray, seed: int) -> Iterator[SampleSplit]:
        for share in self.shares:
            yield from _random_splits(targets, self.repeats, share, seed)


def _random_splits(
    targets: np.ndarray, repeats: int, share: float, seed: int
) -> Iterator[SampleSplit]:
    from sklearn.model_selection import StratifiedShuffleSplit

    size = round(share * len(targets))
    classes = len(np.unique(targets))
    if min(size, len(targets) - size) < classes:
        raise UserError(
            f"a share of {share:g} of {len(targets)} validation samples leaves one part with fewer"
            f" than the {classes} classes.",
            "  take another share, or a larger dataset.validation",
        )
    _require_samples(targets, 2)
    splitter = StratifiedShuffleSplit(repeats, train_size=size, random_state=seed % 2**32)
    for choosing, measured in splitter.split(targets, targets):
        yield SampleSplit(f"{repeats} samples of {share:.0%}", choosing, measured)


def _require_samples(targets: np.ndarray, parts: int) -> None:
    """Raise a UserError if a class has fewer samples than parts of the split."""
    _, counts = np.unique(targets, return_counts=True)
    if counts.min() < parts:
        raise UserError(
            f"a class has {counts.min()} validation samples, and {parts} parts are asked for.",
            "  take fewer, or a larger dataset.validation",
        )
