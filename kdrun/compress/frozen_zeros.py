"""Weights that are 0, and stay so or become more, while a network learns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from kdrun.compress.masks import Masks, Scores, apply_masks, cubic
from kdrun.compress.weight_scores import magnitude
from kdrun.core.types import MAIN, Progress


@dataclass(frozen=True)
class Growth:
    """How weights become 0 while the network learns.

    Attributes:
        names: of the weights that do.
        choose: masks of scores, at a sparsity from 0 to what is asked for.
        sparsity: the share that is asked for.
        score: `magnitude`, |w| at that time; or `movement`, -g w summed over the steps so far:
            Sanh, Wolf, Rush 2020 (arXiv:2005.07683), section 3.
        schedule: `cubic`, or `iterative`: in equal rises.
        rises: how often the sparsity rises.
        until: the share of the training by which all of it is reached.
    """

    names: Sequence[str]
    choose: Callable[[Scores, float], Masks]
    sparsity: float
    score: Literal["magnitude", "movement"]
    schedule: Literal["cubic", "iterative"]
    rises: int
    until: float

    def due(self, progress: Progress) -> int:
        """How many rises there are by the end of a step."""
        share = (progress.step + 1) / (progress.steps * self.until)
        return min(self.rises, int(share * self.rises + 1e-9))

    def sparsity_after(self, rises: int) -> float:
        share = rises / self.rises
        return cubic(0, self.sparsity, share) if self.schedule == "cubic" else share * self.sparsity


class FrozenZeros:
    """Keeps weights of a network 0, whatever an optimizer makes of them.

    Args:
        network: the one that learns; what is 0 in it now stays 0.
        names: of its weights whose zeros stay.
        growth: how more become 0; None: no more do.
    """

    def __init__(
        self, network: nn.Module, names: Sequence[str], growth: Growth | None = None
    ) -> None:
        kept = dict.fromkeys([*names, *(growth.names if growth is not None else ())])
        self.masks = {name: network.get_parameter(name).detach() != 0 for name in kept}
        self.growth = growth
        self.rises = 0
        self.sums: dict[str, Tensor] = {}

    @property
    def names(self) -> list[str]:
        """Of all weights with zeros that stay."""
        return list(self.masks)

    @property
    def complete(self) -> bool:
        """Whether as much is 0 as was asked for: before, no epoch counts as the best."""
        return self.growth is None or self.rises == self.growth.rises

    def to(self, device: torch.device) -> None:
        """Follow the network there."""
        self.masks = {name: mask.to(device) for name, mask in self.masks.items()}
        self.sums = {name: value.to(device) for name, value in self.sums.items()}

    def watch(self, network: nn.Module, progress: Progress) -> None:
        """Take in the gradients of a step, before the optimizer makes it."""
        growth = self.growth
        if growth is not None and growth.score == "movement" and progress.phase == MAIN.name:
            self._add({name: network.get_parameter(name) for name in growth.names})

    def update(self, network: nn.Module, progress: Progress) -> None:
        """Follow a step of the optimizer."""
        if self.growth is not None and progress.phase == MAIN.name:
            self._grow(self.growth, network, progress)
        self.apply(network)

    def apply(self, network: nn.Module) -> None:
        """Set what is left out to 0, in the network or its average."""
        apply_masks(network, self.masks)

    def state(self) -> dict[str, Any]:
        return {"masks": self.masks, "rises": self.rises, "sums": self.sums}

    def restore(self, state: Mapping[str, Any]) -> None:
        device = next(iter(self.masks.values())).device
        self.masks, self.sums, self.rises = state["masks"], state["sums"], state["rises"]
        self.to(device)

    def _grow(self, growth: Growth, network: nn.Module, progress: Progress) -> None:
        due = growth.due(progress)
        if due > self.rises:
            self.rises = due
            weights = {name: network.get_parameter(name) for name in growth.names}
            found = self.sums if growth.score == "movement" else magnitude(weights)
            self.masks |= growth.choose(self._last(found), growth.sparsity_after(due))

    def _add(self, weights: Mapping[str, nn.Parameter]) -> None:
        for name, weight in weights.items():
            if weight.grad is not None:
                # Of a step that fp16 leaves out, as its gradients overflowed, nothing is known.
                moved = (weight.grad * weight.detach()).nan_to_num(0.0, 0.0, 0.0)
                self.sums[name] = self.sums[name] - moved if name in self.sums else -moved

    def _last(self, found: Scores) -> Scores:
        """What was left out before goes first again: it doesn't come back."""
        return {
            name: score.where(self.masks[name], torch.finfo(score.dtype).min)
            for name, score in found.items()
        }
