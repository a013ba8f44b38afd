"""The result of a dataset's reader: samples with labels, in the splits that the dataset has."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from torch import Tensor


class Hash(Protocol):
    """An object of hashlib."""

    def update(self, data: Any, /) -> None:
        """Add bytes."""


class Samples(Protocol):
    """Samples of one modality, in memory or on disk.

    Attributes:
        targets: (N,) int64 labels.
    """

    @property
    def targets(self) -> Tensor: ...

    def __len__(self) -> int: ...

    def select(self, positions: Tensor) -> Self:
        """Return the samples at these positions, in this order."""

    def relabel(self, targets: Tensor) -> Self:
        """Return the samples with other labels."""

    def files(self, positions: list[int]) -> list[Path]:
        """Return the files of these samples; none if they are in memory."""

    def hash_into(self, digest: Hash) -> None:
        """Add the content of samples in memory to a digest, or the names and sizes of files."""

    def hash_contents_into(self, digest: Hash) -> None:
        """Add the content of the files to a digest; nothing for samples in memory."""


S = TypeVar("S", bound=Samples)


def spread(count: int, most: int) -> list[int]:
    """Return positions of samples that stand for all `count`: at most so many, evenly spread."""
    chosen = min(most, count)
    return [number * count // chosen for number in range(chosen)]


@dataclass(frozen=True)
class RawDataset(Generic[S]):
    """A dataset as its reader returns it, before classes are chosen and splits are carved.

    Attributes:
        classes: class names in the order of the labels.
        train: the training split, or all samples of a dataset without splits.
        validation: the dataset's validation split, if it has one.
        test: the dataset's test split, if it has one.
        notes: sentences for the user about how the dataset was read.
    """

    classes: tuple[str, ...]
    train: S
    validation: S | None = None
    test: S | None = None
    notes: tuple[str, ...] = ()

    @property
    def splits(self) -> dict[str, S]:
        """The splits that the dataset has, by name."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: samples for name, samples in splits.items() if samples is not None}
