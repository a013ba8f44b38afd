"""Optimizers take the step of their formulas and of PyTorch's own classes."""

import math

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW

from kdrun.engine.optimizers import OPTIMIZERS, learning_rate, make_optimizer

CPU = torch.device("cpu")
BETAS, EPS = (0.8, 0.99), 1e-6
SETTINGS = {
    "sgd": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "adam": {"betas": list(BETAS), "eps": EPS},
    "adamw": {"betas": list(BETAS), "eps": EPS},
}
TORCH = {
    "sgd": lambda parameters, **kind: SGD(parameters, momentum=0.9, **kind),
    "nesterov": lambda parameters, **kind: SGD(parameters, momentum=0.9, nesterov=True, **kind),
    "adam": lambda parameters, **kind: Adam(parameters, betas=BETAS, eps=EPS, **kind),
    "adamw": lambda parameters, **kind: AdamW(parameters, betas=BETAS, eps=EPS, **kind),
}


def start() -> list[nn.Parameter]:
    random = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(size, generator=random)) for size in ((4, 3), (5,))]


def gradients(step: int) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(100 + step)
    return [torch.randn(size, generator=random) for size in ((4, 3), (5,))]


def walk(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], steps: int) -> None:
    for number in range(steps):
        for parameter, gradient in zip(parameters, gradients(number), strict=True):
            parameter.grad = gradient
        optimizer.step()


@pytest.fixture
def make(recipe):
    """An optimizer by name over parameters, from a recipe with these keys."""

    def optimizer(name: str, parameters: list[nn.Parameter], **keys) -> torch.optim.Optimizer:
        node = {"name": name, **SETTINGS[name]}
        return make_optimizer(recipe(optimizer=node, **keys), "mlp", parameters, CPU)

    return optimizer


@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_torch(make, name, decay):
    ours, theirs = start(), start()
    walk(make(name, ours, lr=0.1, weight_decay=decay), ours, 5)
    walk(TORCH[name](theirs, lr=0.1, weight_decay=decay), theirs, 5)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other)


def plain_step(name: str, weight: float, gradient: float, state: dict, lr: float, decay: float):
    """One step for one number, as the papers write it."""
    if name == "adamw":
        weight -= lr * decay * weight
    else:
        gradient += decay * weight
    if name in ("sgd", "nesterov"):
        state["v"] = 0.9 * state["v"] + gradient if "v" in state else gradient
        return weight - lr * (gradient + 0.9 * state["v"] if name == "nesterov" else state["v"])
    state["t"] = state.get("t", 0) + 1
    state["m"] = BETAS[0] * state.get("m", 0.0) + (1 - BETAS[0]) * gradient
    state["v"] = BETAS[1] * state.get("v", 0.0) + (1 - BETAS[1]) * gradient**2
    first = state["m"] / (1 - BETAS[0] ** state["t"])
    second = state["v"] / (1 - BETAS[1] ** state["t"])
    return weight - lr * first / (math.sqrt(second) + EPS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_the_formula(make, name):
    ours = start()
    expected, state = ours[1][0].item(), {}
    walk(make(name, ours, lr=0.1, weight_decay=0.05), ours, 4)
    for number in range(4):
        expected = plain_step(name, expected, gradients(number)[1][0].item(), state, 0.1, 0.05)
    assert ours[1][0].item() == pytest.approx(expected, rel=1e-5)


def test_weight_decay_applies_to_norms_and_biases_too(make):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    optimizer = make("sgd", list(network.parameters()), weight_decay=0.5)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for parameter, value in zip(network.parameters(), before, strict=True):
        torch.testing.assert_close(parameter.detach(), value * (1 - 0.1 * 0.5))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_update_is_one_kernel(make, name):
    assert make(name, start()).defaults["fused"] is True


def test_the_recipes_learning_rate_is_taken(make, recipe):
    assert make("sgd", start(), lr=0.3).param_groups[0]["lr"] == 0.3
    assert learning_rate(recipe(lr=0.3), "resnet20") == 0.3


@pytest.mark.parametrize(
    ("model", "lr"),
    [
        ("mobilenet_v2", 0.01),
        ("mobilenet", 0.01),
        ("shufflenet_v1", 0.02),
        ("resnet20", 0.05),
        ("my_mobilenet", 0.05),
        ("Mobilenet", 0.05),
    ],
)
def test_a_models_own_learning_rate_goes_before_the_recipes(recipe, model, lr):
    table = {"mobilenet*": 0.01, "shufflenet_v?": 0.02, "*net_v1": 0.03}
    assert learning_rate(recipe(lr=0.05, lr_by_model=table), model) == lr


def test_a_models_own_learning_rate_reaches_the_optimizer(recipe):
    chosen = recipe(lr=0.05, lr_by_model={"mobilenet*": 0.01})
    optimizer = make_optimizer(chosen, "mobilenet_v2", start(), CPU)
    assert optimizer.param_groups[0]["lr"] == 0.01
