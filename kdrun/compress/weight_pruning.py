"""Pruning of single weights as one plan: which weights, by what score, at once or over time."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from kdrun.compress import weight_scores
from kdrun.compress.frozen_zeros import Growth
from kdrun.compress.masks import (
    Masks,
    Scores,
    apply_masks,
    global_masks,
    layer_masks,
    pattern_masks,
    prunable,
)
from kdrun.compress.step_inputs import StepInputs


@dataclass(frozen=True)
class Pruning:
    """Which weights become 0.

    Attributes:
        sparsity: the share that does, 0 to below 1.
        score: the lowest go first; `movement` while training alone.
        scope: over all weights together, or the same share of each layer's.
        pattern: (kept, of): as many of each group of inputs stay; then no sparsity is looked at.
        layers: a glob of module paths.
        schedule: at once, or while the network learns on.
        rises: how often the sparsity rises then.
        until: the share of that training by which all of it is reached.
    """

    sparsity: float
    score: Literal["magnitude", "taylor", "random", "movement"]
    scope: Literal["global", "layer"]
    pattern: tuple[int, int] | None
    layers: str
    schedule: Literal["one_shot", "iterative", "cubic"]
    rises: int
    until: float

    def masks(self, found: Scores, sparsity: float) -> Masks:
        """True where a weight stays."""
        if self.pattern is not None:
            return pattern_masks(found, *self.pattern)
        return (global_masks if self.scope == "global" else layer_masks)(found, sparsity)

    def at_once(self, network: nn.Module, material: StepInputs) -> Masks:
        """Prune a network, all of it now.

        Raises:
            UserError: no layer has a path as asked for, or one would keep no weight.
        """
        weights = prunable(network, self.layers)
        if self.score == "taylor":
            found = weight_scores.taylor(network, weights, material.labeled("score=taylor"))
        elif self.score == "random":
            found = weight_scores.random(weights, material.generator)
        else:
            found = weight_scores.magnitude(weights)
        masks = self.masks(found, self.sparsity)
        apply_masks(network, masks)
        return masks

    def growth(self, network: nn.Module) -> Growth:
        """How the network is pruned while it learns."""
        if self.schedule == "one_shot" or self.score == "taylor" or self.score == "random":
            raise ValueError(f"{self.schedule} by {self.score} is no pruning over time")
        return Growth(
            names=list(prunable(network, self.layers)),
            choose=self.masks,
            sparsity=self.sparsity,
            score=self.score,
            schedule=self.schedule,
            rises=self.rises,
            until=self.until,
        )
