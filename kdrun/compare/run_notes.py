"""The notes below a run's table, in sentences."""

from collections.abc import Mapping

from kdrun.compare.run_rows import epochs_text, runtime_of, step_rows, timed_batch
from kdrun.core.folder import STUDENT_ROW
from kdrun.core.metrics import Metric
from kdrun.core.number_format import capitalize, many, milliseconds
from kdrun.core.records.summary import (
    EAGER,
    Gain,
    Row,
    StepComparison,
    Summary,
    difference_of,
    half_width_key,
    score_of,
)
from kdrun.task import task_of

_LEAST_RATIO = 1.05  # smaller ratios of latencies are noise of the measurement
_MAX_NAMED = 5  # classes that a note names


def run_notes(summary: Summary) -> list[str]:
    """Return the notes of a run's table, the most important first."""
    rows = {row["model"]: row for row in summary["rows"]}
    return [
        *_gains(summary),
        *_smaller_than_teacher(summary, rows),
        *_concepts(summary, rows),
        *_labels(summary),
        *_weak_teacher(summary, rows),
        *_unequal_budget(rows),
        *_repetitions(summary, rows),
        *_useless_steps(rows),
        *_worse(summary),
        f"Weights of the {summary['epoch']} epoch. {task_of(summary).note}agreement with"
        " the teacher; ± and intervals are 95 %, from the number of test samples alone.",
        *missing_classes(summary),
        *_best_epochs(summary),
        *_latencies(summary),
        *_shared_machine(summary),
        *_inexact(summary),
    ]


def _gains(summary: Summary) -> list[str]:
    metric = task_of(summary).leading()
    notes = [_gain(row["model"], row["gain"], metric) for row in summary["rows"] if "gain" in row]
    return notes + [
        f"On {name}: {_gain(scores['model'], scores['gain'], metric)}"
        for row in summary["rows"]
        for name, scores in row.get("domains", {}).items()
        if "gain" in scores
    ]


def _gain(model: str, gain: Gain, metric: Metric) -> str:
    low, high = gain["low"], gain["high"]
    difference = f"{metric.change_text(difference_of(gain))} {metric.unit.name}"
    interval = f"{metric.change_text(low)} to {metric.change_text(high)}"
    verdict = "" if low > 0 or high < 0 else "; the interval holds 0: no evidence of a difference"
    return (
        f"{model} over {gain['over']}: {difference}, 95 % interval {interval} (one seed{verdict})."
    )


def _smaller_than_teacher(summary: Summary, rows: Mapping[str, Row]) -> list[str]:
    """Return how much smaller than the teacher the model of the last compression step is."""
    steps, teacher = [row for row in rows.values() if "versus" in row], rows.get("teacher")
    if not steps or teacher is None or teacher["bytes"] <= steps[-1]["bytes"]:
        return []
    last, metric = steps[-1], task_of(summary).leading(bool(summary.get("concepts")))
    score, teacher_score = _score(last, metric), _score(teacher, metric)
    return [
        f"{last['model']} takes {teacher['bytes'] / last['bytes']:.1f} times fewer bytes than the"
        f" teacher; {metric.label}{metric.unit.sign} {score}, teacher {teacher_score}."
    ]


def _concepts(summary: Summary, rows: Mapping[str, Row]) -> list[str]:
    """Return notes on merged classes: the metric that leads, and the number of classes."""
    concepts = summary.get("concepts")
    if not concepts:
        return []
    metric = task_of(summary).leading(merged=True)
    class_count = sum(len(classes) for classes in concepts.values())
    scores = ", ".join(f"{name} {_score(row, metric)}" for name, row in rows.items())
    label = f"{capitalize(metric.label)}{metric.unit.sign}"
    return [
        f"{label} leads: {scores}, over {len(concepts)} concepts that join {class_count} classes.",
        "A model of all classes answers with their probabilities summed over each concept.",
    ]


def _score(row: Row, metric: Metric) -> str:
    value = score_of(row, metric.name)
    return "-" if value is None else metric.unit.text(value)


def _labels(summary: Summary) -> list[str]:
    labels = summary.get("labeled")
    if not labels:
        return []
    repeated = labels.get("repeated", False)
    steps = "repeated: equal steps" if repeated else "as many epochs, but fewer steps in each"
    return [
        f"{labels['labeled']} of {labels['training']} training samples are labeled; a model without"
        f" a teacher learned from these alone, {steps}."
    ]


def _weak_teacher(summary: Summary, rows: Mapping[str, Row]) -> list[str]:
    """Return a warning if the student alone is significantly better than its teacher."""
    if not {"alone", "teacher"} <= rows.keys():
        return []
    metric = task_of(summary).leading()
    alone, teacher = (score_of(rows[name], metric.name) for name in ("alone", "teacher"))
    if alone is None or teacher is None:
        return []
    lead = metric.sign * (alone - teacher)
    if lead <= (score_of(rows["teacher"], half_width_key(metric.name)) or 0):
        return []
    size = f"{metric.change_text(lead).lstrip('+')} {metric.unit.name}"
    return [
        f"The teacher is {size} {metric.worse} the student alone: train it longer, or take another,"
        " before judging a method by it."
    ]


def _unequal_budget(rows: Mapping[str, Row]) -> list[str]:
    """Return a warning if the two students were not trained for the same number of steps."""
    if not {"alone", STUDENT_ROW} <= rows.keys():
        return []
    alone, distilled = rows["alone"], rows[STUDENT_ROW]
    steps, steps_alone = distilled.get("steps"), alone.get("steps")
    if None in (steps, steps_alone) or steps == steps_alone:  # None in older files
        return []
    return [
        f"Not the same budget: the distilled student made {steps} steps ({epochs_text(distilled)}"
        f" epochs), alone {steps_alone} ({epochs_text(alone)})."
    ]


def _repetitions(summary: Summary, rows: Mapping[str, Row]) -> list[str]:
    metric = task_of(summary).leading()
    return [
        f"{name} over {row['versus']['baseline']}, repeated on {group['group']} of validation"
        f" ({group['chosen']} samples choose, {group['measured']} are measured):"
        f" {metric.change_text(group['mean'])} ±"
        f" {metric.change_text(group['deviation']).lstrip('+')} {metric.unit.name}."
        for name, row in rows.items()
        for group in row.get("spread", ())
    ]


def _useless_steps(rows: Mapping[str, Row]) -> list[str]:
    return [
        f"{name} made nothing smaller or faster."
        for name, row in rows.items()
        if "versus" in row and row["versus"]["in_vain"]
    ]


def _worse(summary: Summary) -> list[str]:
    """Return notes on models that became larger or slower, or that could not be timed."""
    notes = [
        f"{row['model']} made {' and '.join(worse)}."
        for row in step_rows(summary)
        if (worse := _what_is_worse(row["versus"]))
    ]
    untimed = [row["model"] for row in summary["rows"] if row["latency"] is None]
    if untimed:
        notes.append(
            f"Not timed: {', '.join(untimed)}. Quantized models are timed in ONNX Runtime (extra"
            " export); log.txt says why they were not."
        )
    return notes


def _what_is_worse(step: StepComparison) -> list[str]:
    ratios = {
        "the file larger": step["bytes"],
        "the multiply-accumulates more": step["macs"],
        "the network slower": step["latency"] or 1,
    }
    return [text for text, ratio in ratios.items() if (ratio or 1) < 1 / _LEAST_RATIO]


def missing_classes(summary: Summary) -> list[str]:
    """Return notes on test splits without a sample of some classes, which macro scores count."""
    notes = []
    for dataset, classes in summary.get("missing_classes", {}).items():
        names = ", ".join(classes[:_MAX_NAMED]) + (", ..." if classes[_MAX_NAMED:] else "")
        single = len(classes) == 1
        subject = "has the class" if single else f"has one of the {len(classes)} classes"
        notes.append(
            f"No test sample of {dataset} {subject} {names}: macro precision, recall and F1 count"
            f" {'it' if single else 'them'} as 0."
        )
    return notes


def _best_epochs(summary: Summary) -> list[str]:
    metric = task_of(summary).leading()
    best = [
        f"{row['model']} {metric.unit.text(score)} (epoch {row['best']['epoch']})"
        for row in summary["rows"]
        if "best" in row and (score := score_of(row["best"], metric.name)) is not None
    ]
    if not best:
        return []
    label = f"{capitalize(metric.label)}{metric.unit.sign}"
    return [f"{label} at the best epoch by validation: {', '.join(best)}."]


def _latencies(summary: Summary) -> list[str]:
    """Return notes on how latencies were measured.

    A latency in another runtime has the mark *; its note has the baseline's latency there.
    """
    latency = next((row["latency"] for row in summary["rows"] if row["latency"]), None)
    if latency is None:
        return []
    threads = many(latency["threads"], "thread")
    notes = [
        f"Latency: {timed_batch(latency)}, {latency['dtype']}, {latency['device']}, {threads},"
        f" {runtime_of(latency)}."
    ]
    for row in step_rows(summary):
        before = row["versus"]["latency_before"]
        if before and runtime_of(before) != EAGER:
            notes.append(
                f"* {row['model']} in {runtime_of(before)} on the {before['device']}, where"
                f" {row['versus']['baseline']} takes {milliseconds(before['median_ms'])} ms; batch"
                f" {before['batch']}, threads {before['threads']}."
            )
    return notes


def _shared_machine(summary: Summary) -> list[str]:
    jobs = summary.get("jobs", 1)
    if jobs <= 1:
        return []
    return [f"Times were taken while up to {jobs} jobs shared the machine; alone they are shorter."]


def _inexact(summary: Summary) -> list[str]:
    reasons = summary.get("inexact")
    return [f"Not exact: {'; '.join(reasons)}."] if reasons else []
