"""Keeps pruned weights at 0 while a network trains, and prunes further weights meanwhile."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from kdrun.compress.masks import Masks, Scores, apply_masks, cubic
from kdrun.compress.weight_scores import magnitude
from kdrun.core.types import MAIN, Progress


@dataclass(frozen=True)
class GradualPruning:
    """How a network is pruned during training: the sparsity rises several times.

    Attributes:
        names: names of the weights to prune.
        choose_masks: computes masks from scores and a sparsity.
        sparsity: the sparsity to reach.
        score: `magnitude`, the current |w|; or `movement`, the sum of -g w over all steps so far:
            Sanh, Wolf, Rush 2020 (arXiv:2005.07683), section 3.
        schedule: `cubic`, see `masks.cubic`; or `iterative`, in equal steps.
        rises: number of times that the sparsity rises.
        until: share of the training after which `sparsity` is reached.
    """

    names: Sequence[str]
    choose_masks: Callable[[Scores, float], Masks]
    sparsity: float
    score: Literal["magnitude", "movement"]
    schedule: Literal["cubic", "iterative"]
    rises: int
    until: float

    def rises_after(self, progress: Progress) -> int:
        """Return the number of rises that are due by the end of the current step."""
        share = (progress.step + 1) / (progress.steps * self.until)
        return min(self.rises, int(share * self.rises + 1e-9))

    def sparsity_after(self, rises: int) -> float:
        """Return the sparsity after this number of rises."""
        share = rises / self.rises
        return cubic(0, self.sparsity, share) if self.schedule == "cubic" else share * self.sparsity


class FrozenZeros:
    """Keeps pruned weights of a network at 0 during training.

    Args:
        network: the network in training.
        names: names of weights whose current zeros are kept.
        gradual: how further weights are pruned; None prunes no more.
    """

    def __init__(
        self, network: nn.Module, names: Sequence[str], gradual: GradualPruning | None = None
    ) -> None:
        all_names = dict.fromkeys([*names, *(gradual.names if gradual is not None else ())])
        self.masks = {name: network.get_parameter(name).detach() != 0 for name in all_names}
        self.gradual = gradual
        self.rises = 0
        self.movement: dict[str, Tensor] = {}

    @property
    def complete(self) -> bool:
        """Whether the full sparsity is reached. Epochs before that can't be the best one."""
        return self.gradual is None or self.rises == self.gradual.rises

    def to(self, device: torch.device) -> None:
        """Move the masks to the network's device."""
        self.masks = {name: mask.to(device) for name, mask in self.masks.items()}
        self.movement = {name: value.to(device) for name, value in self.movement.items()}

    def before_step(self, network: nn.Module, progress: Progress) -> None:
        """Accumulate gradients for the movement score; call it before each optimizer step."""
        gradual = self.gradual
        if gradual is None or gradual.score != "movement" or progress.phase != MAIN.name:
            return
        for name in gradual.names:
            weight = network.get_parameter(name)
            if weight.grad is not None:
                # Gradients that overflowed in fp16 count as 0: the optimizer skips that step.
                movement = (weight.grad * weight.detach()).nan_to_num(0.0, 0.0, 0.0)
                total = self.movement.get(name)
                self.movement[name] = -movement if total is None else total - movement

    def after_step(self, network: nn.Module, progress: Progress) -> None:
        """Prune if a rise is due, and restore the zeros; call it after each optimizer step."""
        if self.gradual is not None and progress.phase == MAIN.name:
            self._prune_if_due(self.gradual, network, progress)
        self.apply(network)

    def apply(self, network: nn.Module) -> None:
        """Set the pruned weights to 0, in the network or in its weight average."""
        apply_masks(network, self.masks)

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"masks": self.masks, "rises": self.rises, "sums": self.movement}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of a checkpoint."""
        device = next(iter(self.masks.values())).device
        self.masks, self.movement, self.rises = state["masks"], state["sums"], state["rises"]
        self.to(device)

    def _prune_if_due(
        self, gradual: GradualPruning, network: nn.Module, progress: Progress
    ) -> None:
        rises = gradual.rises_after(progress)
        if rises > self.rises:
            self.rises = rises
            weights = {name: network.get_parameter(name) for name in gradual.names}
            scores = self.movement if gradual.score == "movement" else magnitude(weights)
            masks = gradual.choose_masks(self._pruned_lowest(scores), gradual.sparsity_after(rises))
            self.masks |= masks

    def _pruned_lowest(self, scores: Scores) -> Scores:
        """Return scores that are lowest for pruned weights, so that these stay pruned."""
        return {
            name: score.where(self.masks[name], torch.finfo(score.dtype).min)
            for name, score in scores.items()
        }
