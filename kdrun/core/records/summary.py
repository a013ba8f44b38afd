"""summary.json: the results table of a run, one row for each model."""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

EAGER = "eager PyTorch"  # the runtime of latencies that don't name one


class Latency(TypedDict):
    """The time of one call of a network, from its start until the device is done.

    Keys:
        median_ms: milliseconds.
        p95_ms: milliseconds that 95 % of the calls did not exceed.
        batch: samples in a call.
        threads: CPU threads within an operation.
        device: `cpu`, `cuda:0`, ...
        dtype: of the inputs: `float32`, ...
        repeats: timed calls; missing in the oldest files.
        runtime: what ran the network; `EAGER` where it is missing, as in older files. Times of two
            runtimes don't compare.
    """

    median_ms: float
    p95_ms: float
    batch: int
    threads: int
    device: str
    dtype: str
    repeats: NotRequired[int]
    runtime: NotRequired[str]


class BestEpoch(TypedDict):
    """The test scores of the epoch that is best on validation.

    Keys:
        epoch: counted from 1.
        accuracy: on the test split, in 0..1.
        f1: macro F1 on the test split, in 0..1; missing in older files.
        validation: the leading metric on the validation split; missing in older files.
    """

    epoch: int
    accuracy: float | None
    f1: NotRequired[float | None]
    validation: NotRequired[float | None]


class Gain(TypedDict):
    """The accuracy that distillation gained over the control, on the same test samples.

    Keys:
        over: the row of the control.
        accuracy: difference of two accuracies in 0..1.
        low: lower end of its 95 % interval.
        high: upper end.
    """

    over: str
    accuracy: float
    low: float
    high: float


class StepComparison(TypedDict):
    """A compressed model compared with the model that it was made from.

    Keys:
        baseline: the row of that model.
        accuracy: difference of the two accuracies in 0..1; positive where compression gained.
        low: lower end of its 95 % interval.
        high: upper end.
        f1: difference of the two macro F1 in 0..1.
        agreement: share of the test samples for which both predict the same class.
        parameters: how many times fewer, as nonzero, macs and bytes.
        nonzero: how many times fewer parameters that are not 0.
        macs: how many times fewer multiply-accumulates.
        bytes: how many times smaller the file of weights.
        latency: how many times faster; None where the two were not timed in the same runtime.
        latency_before: the baseline's latency in this model's runtime, if it was taken.
        in_vain: whether the step neither trained, nor made anything smaller or faster.
    """

    baseline: str
    accuracy: float
    low: float
    high: float
    f1: float
    agreement: float
    parameters: float
    nonzero: float
    macs: float
    bytes: float
    latency: float | None
    latency_before: Latency | None
    in_vain: bool


class Repetitions(TypedDict):
    """The change of accuracy by a compression step that was repeated on the validation split.

    Keys:
        group: which repetitions these are, such as `3 folds`.
        n: how many.
        chosen: samples that the step looked at in each repetition.
        measured: other samples, on which accuracy was measured.
        mean: of the changes, which are differences of accuracies in 0..1.
        deviation: their standard deviation, with n - 1.
        changes: the change of each repetition.
    """

    group: str
    n: int
    chosen: int
    measured: int
    mean: float
    deviation: float
    changes: list[float]


class ScoredRow(TypedDict):
    """A model's scores on one test split; `score_of` reads those of the table of metrics.

    Keys:
        model: the name of the row: teacher, alone, distilled, or that of a compression step.
        accuracy_half_width: distance of the accuracy to the farther end of its 95 % interval.
        agreement: share of the samples for which the model predicts the teacher's class; None
            without a teacher.
        gain: of the distilled student over the control, where there is one.
    """

    model: str
    accuracy_half_width: float
    agreement: float | None
    gain: NotRequired[Gain]


class Row(ScoredRow):
    """A model's row of the results table.

    Keys:
        name: the network, as the config calls it.
        validation: scores of these weights on the validation split; missing in older files.
        parameters: numbers that training may change.
        nonzero: those that are not 0; missing in older files.
        macs: multiply-accumulates for one sample.
        bytes: size of the file of weights.
        epochs: of the main phase of training; None for a model that was not trained.
        first_epochs: of the phases before it; missing in older files.
        steps: updates in all phases; missing in older files.
        seconds: time spent in training steps; None for a model that was not trained.
        images_per_second: over these; None for a model that was not trained.
        fingerprint: of the artefact.
        best: where a best epoch was kept beside the last one.
        latency: None where the model could not be timed.
        latency_in: further latencies by runtime.
        versus: of a compression step, against the row before it.
        overall: of the last of several steps, against the row before the first.
        spread: of a compression step without training, where it was repeated.
        domains: scores on the test splits of other domains, by name.
    """

    name: str
    validation: NotRequired[Mapping[str, float | None] | None]
    parameters: int
    nonzero: NotRequired[int]
    macs: int
    bytes: int
    epochs: int | None
    first_epochs: NotRequired[int]
    steps: NotRequired[int | None]
    seconds: float | None
    images_per_second: NotRequired[float | None]
    fingerprint: str
    best: NotRequired[BestEpoch]
    latency: Latency | None
    latency_in: NotRequired[dict[str, Latency]]
    versus: NotRequired[StepComparison]
    overall: NotRequired[StepComparison]
    spread: NotRequired[list[Repetitions]]
    domains: NotRequired[dict[str, ScoredRow]]


class LabelCount(TypedDict):
    """How many training samples have labels.

    Keys:
        labeled: samples with a label.
        training: all training samples.
    """

    labeled: int
    training: int


class Summary(TypedDict):
    """The results of a run.

    Keys:
        format: of the file.
        split: always `test`.
        samples: test samples.
        epoch: whose weights the rows have: `last`, or `best` by validation.
        dataset: its name.
        held_out: fingerprint of the validation and test images; missing in older files.
        concepts: class -> the teacher's classes that it joins, where classes were merged.
        labeled: where some training samples have no labels.
        domains: further test splits: name -> samples.
        jobs: how many jobs of a sweep shared the machine; missing in older files.
        inexact: why another run of the same config may give other bits; missing in older files.
        rows: one for each model.
    """

    format: NotRequired[int]
    split: str
    samples: int
    epoch: str
    dataset: str
    held_out: NotRequired[str | None]
    concepts: NotRequired[dict[str, list[str]] | None]
    labeled: NotRequired[LabelCount | None]
    domains: NotRequired[dict[str, int]]
    jobs: NotRequired[int]
    inexact: NotRequired[list[str]]
    rows: list[Row]


def score_of(row: Mapping[str, object], metric: str) -> float | None:
    """Return a row's score by the name of its metric; None where the row has none."""
    value = row.get(metric)
    return value if isinstance(value, int | float) else None
