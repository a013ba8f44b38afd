"""The settings of weight pruning: which weights, by which score, at once or during training."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from kdrun.compress import weight_scores
from kdrun.compress.frozen_zeros import GradualPruning
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
class WeightPruning:
    """Which weights become 0, and when.

    Attributes:
        sparsity: share of the weights to prune, 0 to below 1.
        score: weights with the lowest scores are pruned; `movement` only during training.
        scope: rank the weights of all layers together, or prune the same share of each layer.
        pattern: (kept, of), keep so many weights of each group of `of` inputs; replaces `sparsity`.
        layers: a glob of module paths.
        schedule: `one_shot` prunes at once; the others prune during training.
        rises: number of times that the sparsity rises during training.
        until: share of the training after which the full sparsity is reached.
    """

    sparsity: float
    score: Literal["magnitude", "taylor", "random", "movement"]
    scope: Literal["global", "layer"]
    pattern: tuple[int, int] | None
    layers: str
    schedule: Literal["one_shot", "iterative", "cubic"]
    rises: int
    until: float

    def masks(self, scores: Scores, sparsity: float) -> Masks:
        """Return masks for these scores, False where a weight is pruned."""
        if self.pattern is not None:
            return pattern_masks(scores, *self.pattern)
        return (global_masks if self.scope == "global" else layer_masks)(scores, sparsity)

    def prune_at_once(self, network: nn.Module, step_inputs: StepInputs) -> Masks:
        """Prune a network to its full sparsity, in place.

        Returns:
            The masks, False where a weight was pruned.

        Raises:
            UserError: no layer matches the glob, or a layer would lose all its weights.
        """
        weights = prunable(network, self.layers)
        if self.score == "taylor":
            batches = step_inputs.labeled("score=taylor")
            scores = weight_scores.taylor(network, weights, batches)
        elif self.score == "random":
            scores = weight_scores.random(weights, step_inputs.generator)
        else:
            scores = weight_scores.magnitude(weights)
        masks = self.masks(scores, self.sparsity)
        apply_masks(network, masks)
        return masks

    def gradual(self, network: nn.Module) -> GradualPruning:
        """Return how the network is pruned during training."""
        if self.schedule == "one_shot" or self.score == "taylor" or self.score == "random":
            raise ValueError(f"{self.schedule} by {self.score} does not prune during training")
        return GradualPruning(
            names=list(prunable(network, self.layers)),
            choose_masks=self.masks,
            sparsity=self.sparsity,
            score=self.score,
            schedule=self.schedule,
            rises=self.rises,
            until=self.until,
        )
