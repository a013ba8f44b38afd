"""The rows of a run's results table, made from what was measured on the test split."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from torch import nn

from kdrun import model
from kdrun.core.folder import STUDENT_ROW
from kdrun.core.inputs.types import Inputs
from kdrun.core.named_part import part_of
from kdrun.core.records.artefact import ArtefactRecord
from kdrun.core.records.summary import (
    BestEpoch,
    Gain,
    Repetitions,
    Row,
    ScoredRow,
    half_width_key,
)
from kdrun.measure.cost import macs, nonzero_parameters, parameters
from kdrun.measure.metrics import Meter, Scores, agreement
from kdrun.stage.artefact import Artefact
from kdrun.stage.baseline import Cost, compare_with_baseline, gain_over
from kdrun.stage.timing import Latencies
from kdrun.task.base import Task

TEACHER, ALONE = "teacher", "alone"


@dataclass(frozen=True)
class Measured:
    """All measurements of a run's models; mappings are by the name of the row.

    Attributes:
        artefacts: the models' artefacts.
        meters: predictions for the test split.
        best_scores: test scores of the best epoch, for models whose weights of it were kept.
        domain_meters: name of a domain -> predictions for its test split.
        costs: the models' costs.
        latencies: the models' latencies.
        baselines: row of a compression step -> row that it is compared with, in their order.
        repetitions: results of steps that were repeated on the validation split.
    """

    artefacts: Mapping[str, Artefact]
    task: Task
    meters: Mapping[str, Meter]
    best_scores: Mapping[str, Scores]
    domain_meters: Mapping[str, Mapping[str, Meter]]
    costs: Mapping[str, Cost]
    latencies: Latencies
    baselines: Mapping[str, str]
    repetitions: Mapping[str, list[Repetitions]]


def cost_of(artefact: Artefact, network: nn.Module, sample: Inputs) -> Cost:
    """Return the cost of a network for one sample.

    Args:
        artefact: the network's artefact.
        network: the network.
        sample: the inputs of one sample, on the device of the network.
    """
    return Cost(
        parameters=parameters(network),
        nonzero=nonzero_parameters(network),
        macs=macs(network, sample),
        bytes=artefact.bytes_on_disk,
        epochs=artefact.record["epochs"],
    )


def make_rows(measured: Measured) -> list[Row]:
    """Return a row for each model, in the order of the artefacts."""
    return [_row(name, measured) for name in measured.artefacts]


def _row(name: str, measured: Measured) -> Row:
    record, cost = measured.artefacts[name].record, measured.costs[name]
    score_row = _score_row(name, measured.meters, measured.task)
    row = Row(
        model=name,
        name=model.title(record["model"]),
        agreement=score_row["agreement"],
        validation=record.get("validation"),
        parameters=cost["parameters"],
        nonzero=cost["nonzero"],
        macs=cost["macs"],
        bytes=cost["bytes"],
        epochs=cost["epochs"],
        first_epochs=record.get("first_epochs", 0),
        steps=record.get("steps"),
        seconds=record["seconds"],
        images_per_second=record.get("images_per_second"),
        fingerprint=record["fingerprint"],
        latency=measured.latencies.first(name),
    )
    if name in measured.best_scores:
        row["best"] = _best_epoch(record, measured.best_scores[name], measured.task)
    if further := measured.latencies.further(name):
        row["latency_in"] = further
    _add_comparisons(row, measured)
    if name in measured.repetitions:
        row["spread"] = measured.repetitions[name]
    if measured.domain_meters:
        domains = measured.domain_meters.items()
        row["domains"] = {
            domain: _score_row(name, meters, measured.task) for domain, meters in domains
        }
    return cast("Row", {**score_row, **row})  # Row does not list the scores


def _score_row(name: str, meters: Mapping[str, Meter], task: Task) -> ScoredRow:
    """Return a model's scores on one test split."""
    scores = meters[name].compute()
    row = ScoredRow(model=name, agreement=_agreement(name, meters))
    if name == STUDENT_ROW and ALONE in meters:
        row["gain"] = _gain(name, ALONE, meters, task)
    return cast("ScoredRow", {"model": name, **scores, **_half_width(scores, task), **row})


def _half_width(scores: Scores, task: Task) -> dict[str, float]:
    """Return the half width of the leading score's interval, if the task knows one."""
    if not task.half_width:
        return {}
    name, half_width = task.leading().name, part_of(task.half_width)
    return {half_width_key(name): half_width(scores[name], int(scores["n"]))}


def _agreement(name: str, meters: Mapping[str, Meter]) -> float | None:
    """Return the share of samples with the teacher's prediction; None without a teacher."""
    if TEACHER not in meters:
        return None
    teacher = meters[TEACHER].predictions().predicted
    return agreement(meters[name].predictions().predicted, teacher)


def _gain(name: str, control: str, meters: Mapping[str, Meter], task: Task) -> Gain:
    gain = gain_over(task, meters[name], meters[control])
    return Gain(over=control, accuracy=gain.value, low=gain.low, high=gain.high)


def _best_epoch(record: ArtefactRecord, scores: Scores, task: Task) -> BestEpoch:
    leading = {task.leading(merged).name: None for merged in (False, True)}
    validation = record.get("best_validation_accuracy")
    best = BestEpoch(epoch=record["best_epoch"], validation=validation)
    return cast("BestEpoch", {**best, **{name: scores[name] for name in leading}})


def _add_comparisons(row: Row, measured: Measured) -> None:
    """Compare a step with the model before it; also compare the last step with the first model."""
    name, baselines = row["model"], measured.baselines
    if name not in baselines:
        return
    measurements = (measured.task, measured.meters, measured.costs, measured.latencies)
    row["versus"] = compare_with_baseline(name, baselines[name], *measurements)
    if len(baselines) > 1 and name == list(baselines)[-1]:
        first = next(iter(baselines.values()))
        row["overall"] = compare_with_baseline(name, first, *measurements)
