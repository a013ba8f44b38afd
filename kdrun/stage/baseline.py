"""The comparison of a compressed model with the model that it was made from."""

from collections.abc import Mapping
from typing import TypedDict

from kdrun.core.named_part import part_of
from kdrun.core.records.summary import StepComparison
from kdrun.measure.intervals import Interval
from kdrun.measure.metrics import Meter, agreement
from kdrun.stage.timing import Latencies
from kdrun.task.base import Task

_LEAST_RATIO = 1.05  # repeated measurements of one network's latency differ by as much


class Cost(TypedDict):
    """What a model costs; see `records.summary.Row` for the units."""

    parameters: int
    nonzero: int
    macs: int
    bytes: int
    epochs: int | None


def gain_over(task: Task, meter: Meter, before: Meter) -> Interval:
    """Return the difference of two models' leading scores on the same samples."""
    gain: Interval = part_of(task.gain)(meter.predictions(), before.predictions())
    return gain


def compare_with_baseline(
    row: str,
    baseline: str,
    task: Task,
    meters: Mapping[str, Meter],
    costs: Mapping[str, Cost],
    latencies: Latencies,
) -> StepComparison:
    """Compare two rows on the same test samples, and their costs.

    Args:
        row: the compressed model's row in the results table.
        baseline: the row of the model that it was made from.
        task: what the networks answer.
        meters: row -> predictions for the test split.
        costs: row -> cost.
        latencies: the latencies of all rows.

    Returns:
        Differences of the leading scores; for the costs, how many times smaller or faster it
        became.
    """
    predictions, before = meters[row].predictions(), meters[baseline].predictions()
    gain = gain_over(task, meters[row], meters[baseline])
    scores, scores_before = meters[row].compute(), meters[baseline].compute()
    cost, cost_before = costs[row], costs[baseline]
    latency = latencies.first(row)
    latency_before = latency and latencies.in_runtime(baseline, latency["runtime"])
    speedup = (
        latency_before["median_ms"] / latency["median_ms"] if latency and latency_before else None
    )
    times_fewer = {
        "parameters": cost_before["parameters"] / cost["parameters"],
        "nonzero": cost_before["nonzero"] / cost["nonzero"],
        "macs": cost_before["macs"] / cost["macs"],
        "bytes": cost_before["bytes"] / cost["bytes"],
    }
    trained = cost["epochs"] is not None
    return StepComparison(
        baseline=baseline,
        accuracy=gain.value,
        low=gain.low,
        high=gain.high,
        f1=scores["f1"] - scores_before["f1"] if "f1" in scores else None,
        agreement=agreement(predictions.predicted, before.predicted),
        parameters=times_fewer["parameters"],
        nonzero=times_fewer["nonzero"],
        macs=times_fewer["macs"],
        bytes=times_fewer["bytes"],
        latency=speedup,
        latency_before=latency_before,
        in_vain=not trained and max(speedup or 0, *times_fewer.values()) < _LEAST_RATIO,
    )
