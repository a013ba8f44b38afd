"""Optimizers by name, fused where PyTorch has one kernel for the whole update."""

from collections.abc import Iterable
from fnmatch import fnmatch
from typing import Any

import torch
from pydantic import PositiveFloat
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from kdrun.core.config import Recipe
from kdrun.core.ranges import OpenUnit, UnitBelowOne
from kdrun.core.registry import build

GIVEN = ("parameters", "lr", "fused")  # arguments that are no keys of the config
OPTIMIZERS = {
    "sgd": "kdrun.engine.optimizers:sgd",
    "nesterov": "kdrun.engine.optimizers:nesterov",
    "adam": "kdrun.engine.optimizers:adam",
    "adamw": "kdrun.engine.optimizers:adamw",
}

Groups = list[dict[str, Any]]


def sgd(parameters: Groups, lr: float, fused: bool, momentum: UnitBelowOne) -> Optimizer:
    """SGD with momentum, as PyTorch has it."""
    return SGD(parameters, lr=lr, momentum=momentum, fused=fused)


def nesterov(parameters: Groups, lr: float, fused: bool, momentum: OpenUnit) -> Optimizer:
    """SGD with Nesterov's momentum (Sutskever et al. 2013, section 2)."""
    return SGD(parameters, lr=lr, momentum=momentum, nesterov=True, fused=fused)


def adam(
    parameters: Groups,
    lr: float,
    fused: bool,
    betas: tuple[UnitBelowOne, UnitBelowOne],
    eps: PositiveFloat,
) -> Optimizer:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980)."""
    return Adam(parameters, lr=lr, betas=betas, eps=eps, fused=fused)


def adamw(
    parameters: Groups,
    lr: float,
    fused: bool,
    betas: tuple[UnitBelowOne, UnitBelowOne],
    eps: PositiveFloat,
) -> Optimizer:
    """AdamW: Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101)."""
    return AdamW(parameters, lr=lr, betas=betas, eps=eps, fused=fused)


def make_optimizer(
    recipe: Recipe, model_name: str, parameters: Iterable[nn.Parameter], device: torch.device
) -> Optimizer:
    """Build the recipe's optimizer for the parameters that learn.

    Weight decay applies to norms and biases too, as in the published recipes that we compare with.
    """
    groups = [{"params": list(parameters), "weight_decay": recipe.weight_decay}]
    fused = device.type in ("cpu", "cuda", "mps")
    lr = learning_rate(recipe, model_name)
    return build("optimizer", OPTIMIZERS, recipe.optimizer, parameters=groups, lr=lr, fused=fused)


def learning_rate(recipe: Recipe, model_name: str) -> float:
    """Return the learning rate of the first glob in `lr_by_model` that matches, or `lr`."""
    for pattern, lr in (recipe.lr_by_model or {}).items():
        if fnmatch(model_name, pattern):
            return lr
    return recipe.lr
