"""What a reader of a run's table should know, in sentences below it."""

from collections.abc import Mapping
from typing import Any

from kdrun.compare.number_format import EAGER, Row, compared, epochs_of, milliseconds, percent

_CLEARLY = 1.05  # times of one network differ by as much


def notes_of(summary: Mapping[str, Any]) -> list[str]:
    notes = [_gain(row) for row in summary["rows"] if row.get("gain")]
    notes += [
        f"On {name}: {_gain(figures)}"
        for row in summary["rows"]
        for name, figures in (row.get("domains") or {}).items()
        if figures.get("gain")
    ]
    rows = {row["model"]: row for row in summary["rows"]}
    notes += _concepts(summary, rows)
    if summary.get("labeled"):
        labeled, training = summary["labeled"]["labeled"], summary["labeled"]["training"]
        notes.append(
            f"{labeled} of {training} training samples are labeled; what has no teacher learned"
            " from these alone, in as many epochs of fewer steps."
        )
    notes += [*_weak_teacher(rows), *_other_budget(rows)]
    notes += [
        f"{name} over {row['versus']['baseline']}, done again on {one['group']} of validation"
        f" ({one['chosen']} samples choose, {one['measured']} are measured):"
        f" {100 * one['mean']:+.2f} ± {100 * one['deviation']:.2f} points."
        for name, row in rows.items()
        for one in row.get("spread", ())
    ]
    notes += [
        f"{name} made nothing smaller or faster."
        for name, row in rows.items()
        if row.get("versus", {}).get("in_vain")
    ]
    notes += _worse(summary)
    notes.append(
        f"Weights of the {summary['epoch']} epoch. Macro precision, recall and F1; agreement with"
        " the teacher; ± and intervals are 95 %, from the number of test samples alone."
    )
    best = [
        f"{row['model']} {percent(row['best']['accuracy'])} (epoch {row['best']['epoch']})"
        for row in summary["rows"]
        if row.get("best")
    ]
    if best:
        notes.append(f"Top-1 % at the best epoch by validation: {', '.join(best)}.")
    notes += _runtimes(summary)
    if summary.get("jobs", 1) > 1:
        notes.append(
            f"Times were taken while up to {summary['jobs']} jobs shared the machine; alone they"
            " are shorter."
        )
    if summary.get("inexact"):
        notes.append(f"Not exact: resumed with {'; '.join(summary['inexact'])}.")
    return notes


def _runtimes(summary: Mapping[str, Any]) -> list[str]:
    """How times were taken; of those that are marked, what they are held against."""
    latency = next(row["latency"] for row in summary["rows"] if row["latency"])
    told = (
        f"batch {latency['batch']}, {latency['dtype']}, {latency['device']},"
        f" {latency['threads']} thread{'s' if latency['threads'] > 1 else ''}"
    )
    notes = [f"Latency: {told}, {latency.get('runtime', EAGER)}."]
    for row in compared(summary):
        before = row["versus"]["latency_before"]
        if before and before.get("runtime", EAGER) != EAGER:
            baseline = row["versus"]["baseline"]
            notes.append(
                f"* {row['model']} in {before['runtime']} on the {before['device']}, where"
                f" {baseline} takes {milliseconds(before['median_ms'])} ms; batch"
                f" {before['batch']}, threads {before['threads']}."
            )
    return notes


def _worse(summary: Mapping[str, Any]) -> list[str]:
    """What became larger or slower, and what could not be timed."""
    words = {"bytes": "the file larger", "macs": "the work more", "latency": "the answer slower"}
    notes = []
    for row in compared(summary):
        ratios = row["versus"]
        found = [word for key, word in words.items() if (ratios[key] or 1) < 1 / _CLEARLY]
        if found:
            notes.append(f"{row['model']} made {' and '.join(found)}.")
    untimed = [row["model"] for row in summary["rows"] if row["latency"] is None]
    if untimed:
        notes.append(
            f"Not timed: {', '.join(untimed)}. Quantized models are timed in ONNX Runtime (extra"
            " export); log.txt says why they were not."
        )
    return notes


def _concepts(summary: Mapping[str, Any], rows: Mapping[str, Row]) -> list[str]:
    """What the classes are, and the macro F1 that counts among them, where they are concepts."""
    concepts = summary.get("concepts")
    if not concepts:
        return []
    known = sum(len(classes) for classes in concepts.values())
    scores = ", ".join(f"{name} {percent(row['f1'])}" for name, row in rows.items())
    return [
        f"Macro F1 % leads: {scores}, over {len(concepts)} concepts that join {known} classes.",
        "A model of all classes answers with their probabilities summed over each concept.",
    ]


def _gain(row: Row) -> str:
    gain = row["gain"]
    low, high = 100 * gain["low"], 100 * gain["high"]
    verdict = "" if low > 0 or high < 0 else "; the interval holds 0: no evidence of a difference"
    return (
        f"{row['model']} over {gain['over']}: {100 * gain['accuracy']:+.2f} points,"
        f" 95 % interval {low:+.2f} to {high:+.2f} (one seed{verdict})."
    )


def _weak_teacher(rows: Mapping[str, Row]) -> list[str]:
    """A warning where the student alone does better, beyond chance, than what it learns from."""
    if not {"alone", "teacher"} <= rows.keys():
        return []
    better = rows["alone"]["accuracy"] - rows["teacher"]["accuracy"]
    if better <= rows["teacher"]["accuracy_half_width"]:
        return []
    return [
        f"The teacher is {100 * better:.2f} points below the student alone: train it longer, or"
        " take another, before judging a method by it."
    ]


def _other_budget(rows: Mapping[str, Row]) -> list[str]:
    """A warning where one of the two students that are compared was trained for longer."""
    if not {"alone", "distilled"} <= rows.keys():
        return []
    alone, distilled = rows["alone"], rows["distilled"]
    own, other = distilled.get("steps"), alone.get("steps")
    if None in (own, other) or own == other:  # artefacts of an older kdrun don't say
        return []
    return [
        f"Not the same budget: the distilled student made {own} steps ({epochs_of(distilled)}"
        f" epochs), alone {other} ({epochs_of(alone)})."
    ]
