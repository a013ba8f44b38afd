"""Merged classes: each consists of several of a teacher's classes; their logits are summed."""

from dataclasses import dataclass

import torch
from torch import Tensor

Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Merge:
    """How the classes of a dataset were merged from the teacher's classes.

    Artefacts record the attributes under their names, so the names can't change.

    Attributes:
        known: names of the teacher's classes, in the order of their labels.
        groups: for each merged class, the labels of the teacher's classes that it consists of.
            Samples whose class is in no group are left out of the dataset.
    """

    known: tuple[str, ...]
    groups: Groups

    @property
    def names(self) -> list[list[str]]:
        """For each merged class, the names of the teacher's classes that it consists of."""
        return [[self.known[label] for label in group] for group in self.groups]


def merge_logits(logits: Tensor, groups: Groups, temperature: float = 1.0) -> Tensor:
    """Return the logits of merged classes: T log sum_(k in group) exp(z_k / T) for each group.

    With them the probability of a merged class at temperature T is the sum of the probabilities of
    its classes, divided by the sum over all groups.

    Args:
        logits: z, (N, C).
        groups: for each merged class, the labels that it consists of.
        temperature: T, above 0.

    Returns:
        (N, len(groups)).
    """
    order = torch.tensor([label for group in groups for label in group], device=logits.device)
    sizes = [len(group) for group in groups]
    grouped = (logits / temperature).index_select(1, order).split(sizes, dim=1)
    return temperature * torch.stack([group.logsumexp(dim=1) for group in grouped], dim=1)
