"""Turns a loss into new weights: gradients, their norm, clipping, the optimizer."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from kdrun.core.config import Recipe
from kdrun.core.device import Hardware
from kdrun.engine.gradient_norm import GradientNorm, weights_fault
from kdrun.engine.optimizers import make_optimizer


class GradientStep:
    """Takes the optimizer's steps in one phase.

    For each step call `clear`, `add` for each micro-batch, `measure`, `clip` and `take`.

    Args:
        parameters: the parameters that learn in the phase, by name.
        recipe: has the optimizer and the norm at which gradients are clipped.
        model_name: the student's name, for learning rates by model.
        hardware: device and precision; fp16 scales its gradients.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        recipe: Recipe,
        model_name: str,
        hardware: Hardware,
    ) -> None:
        self.parameters, self.clip_norm, self.device = parameters, recipe.clip_norm, hardware.device
        self.optimizer = make_optimizer(recipe, model_name, parameters.values(), self.device)
        fp16 = hardware.precision == "fp16"
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=fp16)
        self.norm = GradientNorm(parameters, self.device, scaled=fp16)

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return self.optimizer.param_groups[0]["lr"]

    def clear(self) -> None:
        """Delete the gradients of the previous step."""
        self.optimizer.zero_grad(set_to_none=True)

    def add(self, loss: Tensor) -> None:
        """Add the gradients of a scalar loss."""
        self.scaler.scale(loss).backward()

    def measure(self) -> Tensor:
        """Undo fp16's scaling and return the norm of the gradient, a scalar on the device."""
        self.scaler.unscale_(self.optimizer)
        return self.norm.measure()

    def clip(self, norm: Tensor) -> None:
        """Shorten the gradient to the recipe's `clip_norm`, if it has one."""
        if self.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(self.parameters.values(), self.clip_norm, norm)

    def take(self, rate: float) -> None:
        """Update the weights at a learning rate; with fp16, skip a step that overflowed."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def weights_fault(self) -> str:
        """Name a learning parameter that is not finite; return "" if there is none."""
        return weights_fault(self.parameters, self.device)

    def state(self) -> dict[str, Any]:
        return {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "grad_norm": self.norm.state(),
            "moments": self._moments(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a result of `state` in the same phase.

        Raises:
            KeyError, TypeError, ValueError: it is no such result.
        """
        groups = [dict(group) for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        _check_restored(self.optimizer, groups)
        self.scaler.load_state_dict(state["scaler"])
        if "grad_norm" in state:  # older checkpoints have none
            self.norm.restore(state["grad_norm"])
        if state.get("moments", self._moments()) != self._moments():
            raise KeyError("parameters lack the state of their optimizer")

    def _moments(self) -> list[str]:
        """Return the parameters that the optimizer has a state of: those that had a gradient."""
        return [name for name, value in self.parameters.items() if self.optimizer.state.get(value)]


def _check_restored(optimizer: Optimizer, groups: Sequence[Mapping[str, Any]]) -> None:
    """Check what an optimizer took from a checkpoint: PyTorch takes any values.

    Args:
        optimizer: SGD, Adam or AdamW.
        groups: its groups of parameters before.
    """
    for before, group in zip(groups, optimizer.param_groups, strict=True):
        changed = [key for key in before if type(before[key]) is not type(group.get(key))]
        if changed:
            raise TypeError(f"{group.get(changed[0])!r} for {changed[0]!r}")
    if len({frozenset(entry) for entry in optimizer.state.values()}) > 1:
        raise KeyError("parameters have unlike states")
    for parameter, entry in optimizer.state.items():
        for name, value in entry.items():
            shape = value.shape if isinstance(value, Tensor) else None
            if shape not in ((), parameter.shape):
                raise ValueError(f"{name!r} does not fit its parameter")
