"""summary.json: the results table of a run, one row for each model."""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

from kdrun.core.records.check import Count

EAGER = "eager PyTorch"  # the runtime of latencies that name no runtime


class Latency(TypedDict):
    """The time of one call of a network, from its start until the device is done.

    Keys:
        median_ms: the median of the calls' times, in milliseconds.
        p95_ms: the 95 % percentile, in milliseconds.
        batch: the number of samples in a call.
        threads: CPU threads within an operation.
        device: `cpu`, `cuda:0`, ...
        dtype: the type of the inputs: `float32`, ...
        tokens: the number of tokens of each text in a call; missing for images.
        repeats: the number of timed calls; missing in the oldest files.
        runtime: the software that ran the network; `EAGER` if the key is missing, as in older
            files. Times in different runtimes aren't comparable.
    """

    median_ms: float
    p95_ms: float
    batch: int
    threads: int
    device: str
    dtype: str
    tokens: NotRequired[int]
    repeats: NotRequired[int]
    runtime: NotRequired[str]


class BestEpoch(TypedDict):
    """The test scores of the epoch that is best on validation.

    Keys:
        epoch: the number of the epoch, counted from 1.
        validation: the leading metric on the validation split; missing in older files.

    Further keys are the leading score of the task on the test split, and that for merged classes,
    which older files lack.
    """

    epoch: int
    validation: NotRequired[float | None]


class Gain(TypedDict):
    """What the leading score of distillation gained over the control, on the same test samples.

    Keys:
        over: the name of the control's row.
        accuracy: the difference of the leading scores, whatever they are: the first task gave the
            key its name.
        low: the lower end of the difference's 95 % interval.
        high: the upper end.
    """

    over: str
    accuracy: float
    low: float
    high: float


class StepComparison(TypedDict):
    """A compressed model compared with the model that it was made from.

    Keys:
        baseline: the row of the model before compression.
        accuracy: the leading score of the compressed model minus that of the baseline.
        low: the lower end of this difference's 95 % interval.
        high: the upper end.
        f1: the difference of the macro F1 scores, which are in 0..1; None without classes.
        agreement: the share of the test samples for which both models predict the same class.
        parameters: how many times fewer parameters: 2 for half of them.
        nonzero: how many times fewer parameters that are not 0.
        macs: how many times fewer multiply-accumulates.
        bytes: how many times smaller the file of weights is.
        latency: how many times faster; None if the models were not timed in the same runtime.
        latency_before: the baseline's latency in the compressed model's runtime, if it was timed.
        in_vain: whether the step neither trained, nor made anything smaller or faster.
    """

    baseline: str
    accuracy: float
    low: float
    high: float
    f1: float | None
    agreement: float
    parameters: float
    nonzero: float
    macs: float
    bytes: float
    latency: float | None
    latency_before: Latency | None
    in_vain: bool


class Repetitions(TypedDict):
    """The change of the leading score by a step that was repeated on the validation split.

    Keys:
        group: the name of these repetitions, such as `3 folds`.
        n: the number of repetitions.
        chosen: the number of samples that the step used in each repetition.
        measured: the number of other samples, on which the score was measured.
        mean: the mean of the changes, which are differences of leading scores.
        deviation: the standard deviation of the changes, with n - 1.
        changes: the change in each repetition.
    """

    group: str
    n: int
    chosen: int
    measured: int
    mean: float
    deviation: float
    changes: list[float]


class ScoredRow(TypedDict):
    """A model's scores on one test split.

    Further keys are the scores of the task, which `score_of` reads, and of the leading one the
    distance to the farther end of its 95 % interval, under `half_width_key`.

    Keys:
        model: the name of the row: teacher, alone, distilled, or the name of a compression step.
        agreement: the share of the samples for which the model predicts the same class as the
            teacher; None without a teacher.
        gain: the gain of the distilled student over the control, if there is a control.
    """

    model: str
    agreement: float | None
    gain: NotRequired[Gain]


class Row(ScoredRow):
    """A model's row of the results table.

    Keys:
        name: the name of the network in the config.
        validation: the scores of these weights on the validation split; missing in older files.
        parameters: the number of parameters.
        nonzero: the number of parameters that are not 0; missing in older files.
        macs: multiply-accumulates for one sample.
        bytes: the size of the file of weights.
        epochs: the number of epochs of the main phase of training; None without training.
        first_epochs: the number of epochs of earlier phases; missing in older files.
        steps: the number of updates in all phases; missing in older files.
        seconds: the time spent in training steps; None without training.
        images_per_second: the training images per second of that time; None without training.
        fingerprint: the fingerprint of the artefact.
        best: the scores of the best epoch, if it was stored besides the last one.
        latency: the latency; None if the model could not be timed.
        latency_in: runtime -> further latency.
        versus: for a compression step, the comparison with the row before it.
        overall: for the last of several steps, the comparison with the row before the first step.
        spread: for a compression step without training, its repetitions on validation, if any.
        domains: name of another domain -> scores on its test split.
    """

    name: str
    validation: NotRequired[Mapping[str, float | None] | None]
    parameters: Count
    nonzero: NotRequired[Count]
    macs: Count
    bytes: Count
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
        labeled: the number of training samples with a label.
        training: the number of all training samples.
        repeated: whether stages without a teacher repeated the labeled samples, for as many steps
            as with all samples; missing in older files, where they did not.
    """

    labeled: int
    training: int
    repeated: NotRequired[bool]


class Summary(TypedDict):
    """The results of a run.

    Keys:
        format: the number of the file's format.
        split: always `test`.
        samples: the number of test samples.
        epoch: the epoch of the rows' weights: `last`, or `best` by validation.
        dataset: the name of the dataset.
        task: what the networks answer; missing in older files, which are of classification.
        sample: the word for a sample; missing in older files, where it is `image`.
        held_out: the fingerprint of the validation and test images; missing in older files.
        concepts: merged class -> the teacher's classes that it joins; only if classes were merged.
        labeled: the number of labels, if some training samples have none.
        domains: name of another domain -> number of samples of its test split.
        missing_classes: name of the dataset or of another domain -> the classes that none of its
            test samples has; missing in older files.
        jobs: the number of jobs of a sweep that shared the machine; missing in older files.
        inexact: reasons why another run of the same config may not be bit-identical; missing in
            older files.
        rows: a row for each model.
    """

    format: NotRequired[int]
    split: str
    samples: int
    epoch: str
    dataset: str
    task: NotRequired[str]
    sample: NotRequired[str]
    held_out: NotRequired[str | None]
    concepts: NotRequired[dict[str, list[str]] | None]
    labeled: NotRequired[LabelCount | None]
    domains: NotRequired[dict[str, int]]
    missing_classes: NotRequired[dict[str, list[str]]]
    jobs: NotRequired[int]
    inexact: NotRequired[list[str]]
    rows: list[Row]


def half_width_key(metric: str) -> str:
    """Return the key of the half width of a score's interval."""
    return f"{metric}_half_width"


def difference_of(comparison: Gain | StepComparison) -> float:
    """Return the difference of leading scores in a comparison."""
    return comparison["accuracy"]


def score_of(row: Mapping[str, object], metric: str) -> float | None:
    """Return a row's score by the name of the metric; None if the row has no such score."""
    value = row.get(metric)
    return value if isinstance(value, int | float) else None
