"""Merges the classes of a dataset into fewer ones, and logits of the former into the latter."""

from dataclasses import dataclass

import torch
from torch import Tensor

Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Merge:
    """How the classes of a dataset were merged from the classes that a teacher knows.

    The digest of merged data contains the text of this record, so its names stay as they are.

    Attributes:
        known: names of the teacher's classes, in the order of their labels.
        groups: for each merged class, the labels of the teacher's classes that it consists of.
            Classes in no group are left out.
    """

    known: tuple[str, ...]
    groups: Groups

    @property
    def names(self) -> list[list[str]]:
        """For each merged class, the names of the teacher's classes that it consists of."""
        return [[self.known[label] for label in group] for group in self.groups]


def merge_logits(logits: Tensor, groups: Groups, temperature: float = 1.0) -> Tensor:
    """Return T log sum_(k in group) exp(z_k / T): logits (N, C) to (N, len(groups)).

    softmax(result / T) is softmax(z / T) summed over each group, and normalized anew over the
    groups.

    Args:
        logits: z, (N, C).
        groups: for each merged class, the labels that it consists of.
        temperature: T, above 0.
    """
    order = torch.tensor([label for group in groups for label in group], device=logits.device)
    sizes = [len(group) for group in groups]
    grouped = (logits / temperature).index_select(1, order).split(sizes, dim=1)
    return temperature * torch.stack([group.logsumexp(dim=1) for group in grouped], dim=1)
