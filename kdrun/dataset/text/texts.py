"""Texts with labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from kdrun.dataset.samples import Hash

MASK = "\uffff"  # a masked word of an augmented text; Unicode has no such character


@dataclass(frozen=True)
class Texts:
    """Texts in memory, or pairs of texts; see `kdrun.dataset.samples.Samples`.

    Attributes:
        first: the N texts, or the first one of each pair.
        second: the second one of each pair; None if samples are single texts.
        targets: (N,) int64 labels.
    """

    first: tuple[str, ...]
    second: tuple[str, ...] | None
    targets: Tensor

    def __len__(self) -> int:
        return len(self.first)

    def select(self, positions: Tensor) -> Self:
        chosen = positions.tolist()
        second = self.second and tuple(self.second[position] for position in chosen)
        first = tuple(self.first[position] for position in chosen)
        return type(self)(first, second, self.targets[positions])

    def relabel(self, targets: Tensor) -> Self:
        return replace(self, targets=targets)

    def without_labels(self) -> Self:
        """Return the texts with label 0."""
        return replace(self, targets=torch.zeros_like(self.targets))

    def files(self, positions: list[int]) -> list[Path]:
        return []

    def hash_into(self, digest: Hash) -> None:
        for texts in (self.first, self.second or ()):
            digest.update(f"{len(texts)} ".encode())
            for text in texts:
                content = text.encode()
                digest.update(f"{len(content)} ".encode() + content)

    def hash_contents_into(self, digest: Hash) -> None:
        """Texts are in memory, so `hash_into` has their content."""

    def join(self, more: Self) -> Self:
        """Return these texts and others behind them."""
        second = None if self.second is None else self.second + (more.second or ())
        targets = torch.cat([self.targets, more.targets])
        return type(self)(self.first + more.first, second, targets)

    def all_texts(self) -> tuple[str, ...]:
        """Return all texts, those of pairs one by one."""
        return self.first + (self.second or ())

    def shown(self, position: int) -> str:
        """Return a sample as one text, a pair with a line between its texts."""
        second = [self.second[position]] if self.second else []
        return "\n".join([self.first[position], *second]).replace(MASK, "[MASK]")


def texts_of(samples: Sequence[str], targets: Sequence[int]) -> Texts:
    """Return single texts with their labels."""
    return Texts(tuple(samples), None, torch.tensor(targets, dtype=torch.int64))
