"""Learning rates over training, against PyTorch's own schedulers and at the marked places."""

import math
import warnings
from itertools import pairwise

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    StepLR,
)

from kdrun.engine.schedules import constant, cosine, multistep, onecycle, step, warm_up

EPOCHS, STEPS = 40, 7


def torch_shares(make, count: int = EPOCHS, **settings) -> list[float]:
    """The share of the learning rate that a scheduler of PyTorch gives at each of its steps."""
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler: LRScheduler = make(optimizer, **settings)
    shares = []
    for _ in range(count):
        shares.append(optimizer.param_groups[0]["lr"])
        with warnings.catch_warnings():  # no step was taken: there is nothing to train here
            warnings.simplefilter("ignore")
            scheduler.step()
    return shares


def shares(schedule, epochs: int = EPOCHS) -> list[float]:
    """The share at the start of each epoch."""
    return [schedule(epoch, epochs) for epoch in range(epochs)]


def within(schedule, epochs: int = EPOCHS) -> list[float]:
    """The share at every step."""
    return [schedule(number / STEPS, epochs) for number in range(epochs * STEPS)]


def test_constant_is_constant():
    assert set(within(constant())) == {1.0}


@pytest.mark.parametrize(("every", "gamma"), [(1, 0.9), (10, 0.1), (30, 0.5), (100, 0.1)])
def test_step_is_that_of_torch(every, gamma):
    expected = torch_shares(StepLR, step_size=every, gamma=gamma)
    assert shares(step(every, gamma)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("milestones", [[10, 20, 30], [1], [39], [100], [5, 5]])
def test_multistep_is_that_of_torch(milestones):
    expected = torch_shares(MultiStepLR, milestones=milestones, gamma=0.1)
    assert shares(multistep(milestones, 0.1)) == pytest.approx(expected, rel=1e-12)


def test_milestones_below_1_are_shares_of_the_epochs():
    assert shares(multistep([0.25, 0.5], 0.1)) == shares(multistep([10, 20], 0.1))
    assert shares(multistep([0.625, 0.75, 0.875], 0.1), 240) == shares(
        multistep([150, 180, 210], 0.1), 240
    )


@pytest.mark.parametrize("share", [0.07, 0.14, 0.28, 0.55, 0.56, 0.57, 0.58, 0.29])
def test_a_share_that_is_a_whole_epoch_falls_on_its_first_step(share):
    schedule = multistep([share], 0.1)
    epoch = round(100 * share)
    assert schedule(epoch - 1 / STEPS, 100) == 1
    assert schedule(epoch, 100) == 0.1


def test_step_and_multistep_change_between_epochs_alone():
    for schedule in (step(10, 0.1), multistep([10, 20], 0.1)):
        for epoch in range(EPOCHS):
            found = {schedule(epoch + number / STEPS, EPOCHS) for number in range(STEPS)}
            assert len(found) == 1


@pytest.mark.parametrize("last", [0.0, 0.01, 0.5, 1.0])
def test_cosine_is_that_of_torch(last):
    expected = torch_shares(CosineAnnealingLR, T_max=EPOCHS, eta_min=last)
    assert shares(cosine(last)) == pytest.approx(expected, rel=1e-9)


def test_cosine_moves_within_epochs_and_ends_at_its_last_share():
    found = within(cosine(0.1))
    assert all(one > other for one, other in pairwise(found))
    assert cosine(0.1)(EPOCHS, EPOCHS) == pytest.approx(0.1)
    assert cosine(0.1)(EPOCHS / 2, EPOCHS) == pytest.approx(0.55)


def test_onecycle_starts_peaks_and_ends_where_it_says():
    schedule = onecycle(first=0.04, peak=0.3, last=0.001)
    assert schedule(0, EPOCHS) == pytest.approx(0.04)
    assert schedule(0.3 * EPOCHS, EPOCHS) == pytest.approx(1)
    assert schedule(EPOCHS, EPOCHS) == pytest.approx(0.001)
    found = within(schedule)
    top = found.index(max(found))
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)


def test_onecycle_is_that_of_torch():
    # torch peaks one step early and ends with its last step, and divides `last` by `first` again.
    first, peak, last, count = 0.04, 0.3, 0.001, 1001
    expected = torch_shares(
        OneCycleLR, count, max_lr=1.0, total_steps=count, pct_start=peak,
        div_factor=1 / first, final_div_factor=first / last, cycle_momentum=False,
    )  # fmt: skip
    schedule = onecycle(first, peak, last)
    assert [schedule(number, count - 1) for number in range(count)] == pytest.approx(
        expected, abs=5e-3
    )


@pytest.mark.parametrize("epochs", [1, 2.5, 5])
def test_warm_up_is_a_line_that_ends_at_the_whole_rate(epochs):
    found = within(warm_up(constant(), epochs, STEPS))
    length = int(epochs * STEPS)
    assert found[:length] == pytest.approx([(n + 1) / (epochs * STEPS) for n in range(length)])
    assert set(found[length + 1 :]) == {1.0}
    assert max(found) == 1.0
    assert found[0] > 0


def test_warm_up_scales_the_schedule_and_then_leaves_it():
    plain, warmed = cosine(0.0), warm_up(cosine(0.0), 4, STEPS)
    for epoch in (0, 1, 3):
        share = (epoch + 1 / STEPS) / 4
        assert warmed(epoch, EPOCHS) == pytest.approx(plain(epoch, EPOCHS) * share)
    assert [warmed(epoch, EPOCHS) for epoch in range(4, EPOCHS)] == shares(plain)[4:]


def test_no_warm_up_leaves_the_schedule():
    assert within(warm_up(cosine(0.0), 0, STEPS)) == within(cosine(0.0))


@pytest.mark.parametrize(
    "schedule",
    [constant(), step(3, 0.5), multistep([0.5], 0.1), cosine(0.0), onecycle(0.04, 0.3, 0.0)],
)
def test_every_schedule_stays_between_0_and_1(schedule):
    for share in within(warm_up(schedule, 2, STEPS)):
        assert 0 <= share <= 1
        assert math.isfinite(share)


def test_one_epoch_of_one_step_has_a_rate():
    for schedule in (constant(), cosine(0.0), onecycle(0.04, 0.3, 0.0), step(30, 0.1)):
        assert 0 < warm_up(schedule, 0, 1)(0, 1) <= 1
