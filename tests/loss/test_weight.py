"""Weights that change over the epochs."""

import pytest
from pydantic import ValidationError

from kdrun.core.types import Progress
from kdrun.loss.weight import Ramp, ramp_share, weight_at


def at(epoch: float, epochs: int = 240, steps: int = 100) -> Progress:
    return Progress("main", int(epoch), epochs, round(epoch * steps), epochs * steps)


@pytest.mark.parametrize("epoch", [0, 0.5, 239.99])
def test_a_number_stays(epoch):
    assert weight_at(8, at(epoch)) == 8.0


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 0), (5, 2), (10, 4), (19.5, 7.8), (20, 8), (239, 8)]
)
def test_it_rises_linearly_in_the_warmup(epoch, expected):
    assert weight_at(Ramp(value=8, warmup=20), at(epoch)) == pytest.approx(expected)


@pytest.mark.parametrize(("epoch", "expected"), [(0, 3), (149.99, 3), (150, 0), (200, 0)])
def test_it_ends_at_an_epoch(epoch, expected):
    assert weight_at(Ramp(value=3, until=150), at(epoch)) == expected


@pytest.mark.parametrize(("epoch", "expected"), [(0, 2), (100, 2), (125, 1), (150, 0), (151, 0)])
def test_it_falls_linearly_before_its_end(epoch, expected):
    falling = Ramp(value=2, decay=50, until=150)
    assert weight_at(falling, at(epoch)) == pytest.approx(expected)


def test_a_fall_without_an_end_is_refused():
    with pytest.raises(ValidationError, match="decay needs until"):
        Ramp(value=1, decay=3)


@pytest.mark.parametrize(("epoch", "expected"), [(0, 0), (5, 0.25), (20, 1), (239, 1)])
def test_the_share_of_the_full_weight_rises_with_it(epoch, expected):
    assert ramp_share(Ramp(value=8, warmup=20), at(epoch)) == pytest.approx(expected)


def test_a_number_and_a_weight_of_zero_are_whole_at_once():
    assert ramp_share(8, at(0)) == 1
    assert ramp_share(Ramp(value=0, warmup=20), at(0)) == 1


@pytest.mark.parametrize(
    ("epochs", "epoch", "expected"),
    [(1, 1 / 24, 0.5), (1, 1 / 12, 1), (12, 0.5, 0.5), (12, 1, 1), (20, 10, 0.5), (240, 10, 0.5)],
)
def test_a_warmup_longer_than_the_run_has_its_share_of_240_epochs(epochs, epoch, expected):
    progress = at(epoch, epochs, steps=240)
    assert weight_at(Ramp(value=1, warmup=20), progress) == pytest.approx(expected)
    assert ramp_share(Ramp(value=8, warmup=20), progress) == pytest.approx(expected)
