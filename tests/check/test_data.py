"""Which data sets stay in memory."""

import gc
import weakref

import pytest

from kdrun import dataset
from kdrun.check.data import load_data


class Loaded:
    """Stands for a data set."""


def test_a_sweep_over_settings_of_the_data_keeps_the_last_data_sets_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dataset, "load", lambda *_: Loaded())
    loaded = [weakref.ref(load_data({"split_seed": seed})) for seed in range(9)]
    gc.collect()
    assert [one() is not None for one in loaded] == [False] * 5 + [True] * 4
    assert load_data({"split_seed": 8}) is loaded[8]()
