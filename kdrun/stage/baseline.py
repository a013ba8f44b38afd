"""Each compressed model against the one that it was made of."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdrun.measure.intervals import gain_interval
from kdrun.measure.metrics import Meter, agreement

_LEAST = 1.05  # a ratio below it is none: times of one network differ by as much


def add_comparisons(
    table: Sequence[dict[str, Any]], meters: Mapping[str, Meter], baselines: Mapping[str, str]
) -> None:
    """Add to each row that has a baseline what was lost and what was won: `versus`.

    The last of several is held against what all began with too: `overall`.

    Args:
        table: the rows, with their latencies.
        meters: row -> its answers on the test split.
        baselines: row -> the row that it is held against, in the order of the steps.
    """
    rows = {entry["model"]: entry for entry in table}

    def versus(name: str, baseline: str) -> dict[str, Any]:
        return {
            "baseline": baseline,
            **_answers(meters[name], meters[baseline]),
            **_cost(rows[name], rows[baseline]),
        }

    for name, baseline in baselines.items():
        rows[name]["versus"] = versus(name, baseline)
    if len(baselines) > 1:
        last = list(baselines)[-1]
        rows[last]["overall"] = versus(last, next(iter(baselines.values())))


def _answers(own: Meter, other: Meter) -> dict[str, Any]:
    mine, theirs = own.predictions(), other.predictions()
    gain, low, high = gain_interval(
        mine.predicted == mine.target, theirs.predicted == theirs.target
    )
    return {
        "accuracy": gain,
        "low": low,
        "high": high,
        "f1": own.compute()["f1"] - other.compute()["f1"],
        "agreement": agreement(mine.predicted, theirs.predicted),
    }


def _cost(own: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """How many times smaller and faster, and whether that is so at all."""
    times = {key: other[key] / own[key] for key in ("parameters", "nonzero", "macs", "bytes")}
    before = _same_runtime(own["latency"], other)
    faster = before["median_ms"] / own["latency"]["median_ms"] if before else None
    return {
        **times,
        "latency": faster,
        "latency_before": before,
        "in_vain": own["epochs"] is None and max(faster or 0, *times.values()) < _LEAST,
    }


def _same_runtime(
    latency: Mapping[str, Any] | None, other: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """The other's time in the runtime of this one: times of two runtimes are no ratio."""
    if latency is None:
        return None
    known = [other["latency"], *other.get("latency_in", {}).values()]
    found = (one for one in known if one and one["runtime"] == latency["runtime"])
    return next(found, None)
