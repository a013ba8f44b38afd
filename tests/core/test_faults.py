"""Faults are collected from what checks add and raise, and raised together."""

import pytest

from kdrun.core.errors import ConfigError, Fault, UserError
from kdrun.core.faults import Faults


def test_a_raised_error_is_a_fault_of_its_key_and_the_checks_go_on() -> None:
    faults = Faults()
    with faults.under("compress"):
        raise UserError("nothing to compress.", "  compress.of=student")
    with faults.under("loss"):
        faults.add("loss.alpha", "2 is too large")
    assert list(faults) == [
        Fault("compress", "nothing to compress.\n  compress.of=student"),
        Fault("loss.alpha", "2 is too large"),
    ]


def test_the_faults_of_a_config_error_keep_their_keys() -> None:
    faults, two = Faults(), [Fault("dataset.root", "is gone"), Fault("dataset.size", "is 0")]
    with faults.under("dataset"):
        raise ConfigError(two)
    assert list(faults) == two


def test_other_errors_are_not_caught() -> None:
    with pytest.raises(ZeroDivisionError), Faults().under("loss"):
        1 / 0  # noqa: B018 - raises on purpose


def test_faults_are_raised_together_and_none_raise_nothing() -> None:
    faults = Faults()
    faults.raise_if_any()
    faults.extend([Fault("seed", "is 1.5"), Fault("loss", "is 4")])
    with pytest.raises(ConfigError) as error:
        faults.raise_if_any()
    assert error.value.faults == (Fault("seed", "is 1.5"), Fault("loss", "is 4"))
