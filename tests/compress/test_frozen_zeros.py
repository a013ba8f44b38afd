"""Pruned weights that stay 0 while a network trains, and weights that are pruned meanwhile."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from kdrun.compress.frozen_zeros import FrozenZeros, GradualPruning
from kdrun.compress.masks import global_masks, sparsity_of
from kdrun.core.types import Progress

STEPS = 40


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 20), nn.ReLU(), nn.Linear(20, 10))


def gradual(**changed) -> GradualPruning:
    settings = {
        "names": ["0.weight", "2.weight"],
        "choose_masks": global_masks,
        "sparsity": 0.8,
        "score": "magnitude",
        "schedule": "cubic",
        "rises": 4,
        "until": 0.5,
    }
    return GradualPruning(**{**settings, **changed})


def learn(
    network: nn.Module, masked: FrozenZeros, start: int = 0, stop: int = STEPS
) -> list[float]:
    """The sparsity after each step of a training; batches depend only on the step."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    seen = []
    for step in range(start, stop):
        torch.manual_seed(step)
        optimizer.zero_grad()
        network(torch.randn(8, 16)).square().mean().backward()
        masked.before_step(network, Progress("main", 0, 1, step, STEPS))
        optimizer.step()
        masked.after_step(network, Progress("main", 0, 1, step, STEPS))
        seen.append(sparsity_of(masked.masks))
    return seen


def zeros(network: nn.Module) -> int:
    return sum(int((network.get_parameter(name) == 0).sum()) for name in gradual().names)


def test_initial_zeros_stay_and_no_other_weight_becomes_zero(network):
    weight = network[0].weight
    with torch.no_grad():
        weight[:, ::2] = 0
    before = weight.detach().clone()
    masked = FrozenZeros(network, ["0.weight"])
    assert masked.complete
    learn(network, masked)
    assert (weight[:, ::2] == 0).all()
    assert (weight[:, 1::2] != before[:, 1::2]).all()
    assert (network[2].weight != 0).all()


@pytest.mark.parametrize("score", ["magnitude", "movement"])
def test_sparsity_rises_to_its_goal_and_never_falls(network, score):
    masked = FrozenZeros(network, [], gradual(score=score))
    seen = learn(network, masked)
    assert seen == sorted(seen)
    assert seen[3] == 0  # the first rise is at the end of the fifth step
    # 520 weights; (1 - 1/4)^3 = 27/64 of the way is left after the first of four rises
    assert seen[4] == round(520 * 0.8 * (1 - 27 / 64)) / 520
    assert seen[19] == seen[-1] == 416 / 520
    assert zeros(network) == 416
    assert masked.complete


def test_the_iterative_schedule_rises_equally(network):
    seen = learn(network, FrozenZeros(network, [], gradual(schedule="iterative")))
    assert [seen[step] for step in (4, 9, 14, 19)] == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_pruning_is_complete_only_at_full_sparsity(network):
    masked = FrozenZeros(network, [], gradual())
    learn(network, masked, stop=19)
    assert not masked.complete
    learn(network, masked, start=19, stop=20)
    assert masked.complete


def test_sparsity_rises_only_in_the_main_phase(network):
    masked = FrozenZeros(network, [], gradual())
    masked.after_step(network, Progress("hint", 0, 1, STEPS - 1, STEPS))
    assert sparsity_of(masked.masks) == 0


def test_movement_is_the_sum_of_minus_gradient_times_weight(network):
    masked = FrozenZeros(network, [], gradual(score="movement"))
    expected = torch.zeros(10, 20, dtype=torch.float64)
    for step in range(3):
        network(torch.randn(8, 16)).square().mean().backward()
        masked.before_step(network, Progress("main", 0, 1, step, STEPS))
        weight = network[2].weight
        expected -= weight.grad.double() * weight.detach().double()
    torch.testing.assert_close(masked.movement["2.weight"].double(), expected, rtol=1e-5, atol=1e-9)


def test_overflowed_gradients_do_not_change_movement(network):
    masked = FrozenZeros(network, [], gradual(score="movement"))
    network(torch.randn(8, 16)).square().mean().backward()
    masked.before_step(network, Progress("main", 0, 1, 0, STEPS))
    known = masked.movement["2.weight"].clone()
    network[2].weight.grad.fill_(torch.inf)
    masked.before_step(network, Progress("main", 0, 1, 1, STEPS))
    assert torch.equal(masked.movement["2.weight"], known)


@pytest.mark.parametrize("score", ["magnitude", "movement"])
def test_restoring_the_state_continues_exactly(network, score):
    settings = gradual(score=score)
    masked = FrozenZeros(network, [], settings)
    learn(network, masked, stop=12)
    other = FrozenZeros(network, [], settings)
    other.restore(masked.state())
    assert other.rises == masked.rises == 2
    step, copy = Progress("main", 0, 1, 14, STEPS), deepcopy(network)
    for parameter, same in zip(network.parameters(), copy.parameters(), strict=True):
        same.grad = parameter.grad.clone()
    for one, learner in ((masked, network), (other, copy)):
        one.before_step(learner, step)
        one.after_step(learner, step)
    assert masked.rises == other.rises == 3
    assert all(torch.equal(other.masks[name], mask) for name, mask in masked.masks.items())


def test_zeros_of_earlier_steps_stay_beside_gradual_pruning(network):
    with torch.no_grad():
        network[2].weight[:5] = 0
    masked = FrozenZeros(network, ["2.weight"], gradual(names=["0.weight"]))
    learn(network, masked)
    assert (network[2].weight[:5] == 0).all()
    assert int((network[0].weight == 0).sum()) == round(0.8 * 320)
