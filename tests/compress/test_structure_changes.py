"""Networks are rebuilt from the records of their changes."""

import pytest
from torch import nn

from kdrun.compress.structure_changes import CHANGES, rebuild, weights_with_zeros, zeros_change
from kdrun.core.errors import UserError
from kdrun.core.registry import resolve


def test_every_change_can_be_imported():
    for name in CHANGES:
        assert callable(resolve("change", CHANGES, name))


def test_changes_are_applied_in_order():
    network = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 4))
    changes = [
        {"name": "low_rank", "ranks": {"0": 3}},
        zeros_change(["1.weight"]),
        {"name": "low_rank", "ranks": {"0.1": 2}},
    ]
    made = rebuild(network, changes)
    shapes = {name: tuple(value.shape) for name, value in made.named_parameters()}
    assert shapes["0.0.weight"] == (3, 8)
    assert shapes["0.1.0.weight"] == (2, 3)
    assert shapes["0.1.1.weight"] == (8, 2)


def test_zeros_of_several_changes_are_joined():
    changes = [
        zeros_change(["a", "b"]),
        {"name": "low_rank", "ranks": {}},
        zeros_change(["b", "c"]),
    ]
    assert weights_with_zeros(changes) == ["a", "b", "c"]


def test_a_change_of_a_newer_kdrun_is_refused():
    with pytest.raises(UserError, match="no change is called 'melted'"):
        rebuild(nn.Linear(2, 2), [{"name": "melted"}])
