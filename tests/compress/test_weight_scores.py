"""Scores of single weights against their formulas."""

import torch
import torch.nn.functional as F
from torch import nn

from kdrun.compress.weight_scores import magnitude, random, taylor


def test_magnitude_is_the_absolute_value():
    assert magnitude({"w": torch.tensor([-3.0, 0.5])})["w"].tolist() == [3.0, 0.5]


def test_random_scores_depend_only_on_the_generator():
    weights = {"a": torch.full((50,), 2.0), "b": torch.ones(50)}
    one, other, third = (random(weights, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one["a"], other["a"])
    assert not torch.equal(one["a"], third["a"])
    assert not torch.equal(one["a"], one["b"])


def test_weights_that_are_zero_have_the_lowest_random_score():
    weight = torch.ones(400)
    weight[::2] = 0
    found = random({"a": weight}, torch.Generator().manual_seed(0))["a"]
    assert (found[::2] == 0).all()
    assert (found[1::2] > 0).all()


def test_taylor_is_the_mean_squared_gradient_times_weight_and_leaves_no_gradients():
    torch.manual_seed(0)
    network = nn.Linear(6, 3)
    batches = [(torch.randn(5, 6), torch.randint(0, 3, (5,))) for _ in range(4)]
    found = taylor(network, {"weight": network.weight}, batches)["weight"]
    assert network.weight.grad is None

    weight, expected = network.weight.detach().double(), torch.zeros(3, 6, dtype=torch.float64)
    for images, labels in batches:
        logits = images.double() @ weight.T + network.bias.detach().double()
        slope = (F.softmax(logits, 1) - F.one_hot(labels, 3)).T @ images.double() / 5
        expected += (slope * weight) ** 2 / 4
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-12)
