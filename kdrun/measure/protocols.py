"""Which samples choose thresholds, and which are measured then: again and again, never the same.

Each class has its share in every part, as far as it has samples enough.
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
class Parts:
    """Samples of one repetition.

    Attributes:
        group: what of the repetitions it belongs with, in words.
        chosen: (N,) positions of those that choose.
        measured: (M,) positions of those that are measured; none of them chooses.
    """

    group: str
    chosen: np.ndarray
    measured: np.ndarray


class SplitProtocol(Protocol):
    """A rule for repetitions."""

    def parts(self, targets: np.ndarray, seed: int) -> Iterator[Parts]:
        """Every repetition, from labels (N,) and a seed.

        Raises:
            UserError: there are too few samples.
        """
        ...


class KFold:
    """Each fold is measured once, by what all others chose.

    Args:
        folds: how many.
    """

    def __init__(self, folds: AtLeastTwo) -> None:
        self.folds = folds

    def parts(self, targets: np.ndarray, seed: int) -> Iterator[Parts]:
        from sklearn.model_selection import StratifiedKFold

        _require(targets, self.folds)
        splitter = StratifiedKFold(self.folds, shuffle=True, random_state=seed % 2**32)
        for chosen, measured in splitter.split(targets, targets):
            yield Parts(f"{self.folds} folds", chosen, measured)


class RandomSamples:
    """Random samples choose, and what is left is measured.

    Args:
        repeats: how often.
        share: of the samples that choose.
    """

    def __init__(self, repeats: AtLeastTwo, share: OpenUnit) -> None:
        self.repeats, self.share = repeats, share

    def parts(self, targets: np.ndarray, seed: int) -> Iterator[Parts]:
        yield from _drawn(targets, self.repeats, self.share, seed)


class Ratios:
    """Random samples of several sizes choose.

    Args:
        repeats: how often, of each size.
        shares: of the samples that choose.
    """

    def __init__(self, repeats: AtLeastTwo, shares: list[OpenUnit]) -> None:
        self.repeats, self.shares = repeats, shares

    def parts(self, targets: np.ndarray, seed: int) -> Iterator[Parts]:
        for share in self.shares:
            yield from _drawn(targets, self.repeats, share, seed)


def _drawn(targets: np.ndarray, repeats: int, share: float, seed: int) -> Iterator[Parts]:
    from sklearn.model_selection import StratifiedShuffleSplit

    chosen = round(share * len(targets))
    few = len(np.unique(targets))
    if min(chosen, len(targets) - chosen) < few:
        raise UserError(
            f"a share of {share:g} of {len(targets)} validation samples leaves one part with fewer"
            f" than the {few} classes.",
            "  take another share, or a larger dataset.validation",
        )
    _require(targets, 2)
    splitter = StratifiedShuffleSplit(repeats, train_size=chosen, random_state=seed % 2**32)
    for own, rest in splitter.split(targets, targets):
        yield Parts(f"{repeats} samples of {share:.0%}", own, rest)


def _require(targets: np.ndarray, least: int) -> None:
    """Whether each class has so many samples."""
    _, counts = np.unique(targets, return_counts=True)
    if counts.min() < least:
        raise UserError(
            f"a class has {counts.min()} validation samples, and {least} parts are asked for.",
            "  take fewer, or a larger dataset.validation",
        )
