"""The ranges of a search, in Hydra's words, as distributions of optuna."""

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import IntervalSweep, Override

from kdrun.config.overrides import parse_settings
from kdrun.core.errors import Fault

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Ranges = Mapping[str, str]  # key -> Hydra's word for its values: `interval(1,16)`, `choice(kd,dkd)`


def range_values(word: str) -> list[str]:
    """Both ends of an interval, or every value of a choice, as they are typed."""
    value = _parse(word).value()
    if isinstance(value, IntervalSweep):
        return [str(value.start), str(value.end)]
    return list(_parse(word).sweep_string_iterator())


def faults_of_ranges(ranges: Ranges) -> list[Fault]:
    """A fault for each range that can't be searched, whatever its key is."""
    faults = {key: _fault_of_range(word) for key, word in ranges.items()}
    return [Fault(key, f"{ranges[key]} {fault}") for key, fault in faults.items() if fault]


def distributions_of(ranges: Ranges) -> "dict[str, BaseDistribution]":
    """Each key with its distribution."""
    return {key: _distribution(word) for key, word in ranges.items()}


def value_in(distribution: "BaseDistribution", override: Override) -> Any:
    """The value that an override sets, in the type that the distribution has it."""
    from optuna.distributions import CategoricalDistribution

    typed = str(override.input_line).partition("=")[2]
    return typed if isinstance(distribution, CategoricalDistribution) else override.value()


def _parse(word: str) -> Override:
    (parsed,) = parse_settings([f"key={word}"])
    return parsed


def _fault_of_range(word: str) -> str:
    value = _parse(word).value()
    if not isinstance(value, IntervalSweep):
        return "" if range_values(word) else "holds no value"
    low, high = value.start or 0, value.end or 0
    if not (isfinite(low) and isfinite(high)):
        return "has an end that is no number"
    if low > high:
        return f"has its ends the wrong way round: {high:g} comes first"
    if "log" in value.tags and low <= 0:
        return f"is logarithmic and must start above 0, not at {low:g}"
    return ""


def _distribution(word: str) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = _parse(word).value()
    if not isinstance(value, IntervalSweep):
        return CategoricalDistribution(range_values(word))
    low, high, log = value.start or 0, value.end or 0, "log" in value.tags
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)
