"""Ranges of a search: written as in Hydra's sweeps, converted to optuna distributions."""

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import IntervalSweep, Override

from kdrun.config.overrides import parse_settings, typed_value
from kdrun.core.errors import Fault

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Ranges = Mapping[str, str]  # config key -> its range, such as `interval(1,16)` or `choice(kd,dkd)`


def range_values(range_text: str) -> list[str]:
    """Return both ends of an interval, or every value of a choice, as text."""
    value = _parse(range_text).value()
    if isinstance(value, IntervalSweep):
        return [str(value.start), str(value.end)]
    return list(_parse(range_text).sweep_string_iterator())


def faults_of_ranges(ranges: Ranges) -> list[Fault]:
    """Return a fault for each invalid range. The keys are not checked."""
    faults = {key: _fault_of_range(range_text) for key, range_text in ranges.items()}
    return [Fault(key, f"{ranges[key]} {fault}") for key, fault in faults.items() if fault]


def distributions_of(ranges: Ranges) -> "dict[str, BaseDistribution]":
    """Return key -> its distribution."""
    return {key: _distribution(range_text) for key, range_text in ranges.items()}


def value_in(distribution: "BaseDistribution", override: Override) -> Any:
    """Return the value of an override as the distribution represents it: text or number."""
    from optuna.distributions import CategoricalDistribution

    text = typed_value(override)
    return text if isinstance(distribution, CategoricalDistribution) else override.value()


def _parse(range_text: str) -> Override:
    (override,) = parse_settings([f"key={range_text}"])
    return override


def _fault_of_range(range_text: str) -> str:
    """Return the end of a sentence about what is wrong with a range; empty if it is valid."""
    value = _parse(range_text).value()
    if not isinstance(value, IntervalSweep):
        return "" if range_values(range_text) else "holds no value"
    low, high = value.start or 0, value.end or 0
    if not (isfinite(low) and isfinite(high)):
        return "has an end that is not a number"
    if low > high:
        return f"has its ends in the wrong order: write {high:g} before {low:g}"
    if "log" in value.tags and low <= 0:
        return f"is logarithmic and must start above 0, not at {low:g}"
    return ""


def _distribution(range_text: str) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = _parse(range_text).value()
    if not isinstance(value, IntervalSweep):
        return CategoricalDistribution(range_values(range_text))
    low, high, log = value.start or 0, value.end or 0, "log" in value.tags
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)
