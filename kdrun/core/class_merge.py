"""Classes merged into fewer ones, and logits of the many as logits of the few."""

from dataclasses import dataclass

import torch
from torch import Tensor

Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Merge:
    """How classes were made of those of a larger set, which a teacher knows.

    Attributes:
        known: names of the larger set's classes, in the order of their labels.
        groups: for each new class, the labels of those that it joins; others were dropped.
    """

    known: tuple[str, ...]
    groups: Groups

    @property
    def names(self) -> list[list[str]]:
        """The names of the classes that each new one joins."""
        return [[self.known[label] for label in group] for group in self.groups]


def merge_logits(logits: Tensor, groups: Groups, temperature: float = 1.0) -> Tensor:
    """T log sum_(k in group) exp(z_k / T): (N, C) to (N, len(groups)).

    softmax(result / T) are the probabilities softmax(z / T), summed over each group and
    renormalized over the groups.

    Args:
        logits: (N, C).
        groups: the classes that each new one joins.
        temperature: T, above 0.
    """
    order = torch.tensor([label for group in groups for label in group], device=logits.device)
    parts = (logits / temperature).index_select(1, order).split([len(one) for one in groups], dim=1)
    return temperature * torch.stack([part.logsumexp(dim=1) for part in parts], dim=1)
