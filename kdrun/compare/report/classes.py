"""The section on classes: what the student confuses, unlike its teacher, and which classes gain."""

from collections.abc import Callable, Sequence

import numpy as np

from kdrun.compare.report.bar_chart import Bar, bar_chart
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.matrix_chart import Cell, Side, matrix_chart
from kdrun.compare.report.page import Section
from kdrun.compare.report.run_record import RunRecord

_MOST_CLASSES = 40  # of a confusion matrix; of more classes, bars show the most confused pairs
_MOST_BARS = 20


def classes(record: RunRecord) -> Section:
    """The student's confusions, their difference from the teacher's, and the gain of each class."""
    arrays, student = record.predictions, record.student
    if arrays is None or student is None:
        return Section("Classes", [])
    target, names = arrays["target"], record.class_names
    confusions = count_confusions(target, arrays[f"{student}/predicted"], len(names))
    chart = _matrix if len(names) <= _MOST_CLASSES else _most_confused
    figures = [chart(confusions, names, student)]
    if "teacher/predicted" in arrays and student != "teacher":
        teacher = count_confusions(target, arrays["teacher/predicted"], len(names))
        difference = _difference if len(names) <= _MOST_CLASSES else _most_different
        figures.append(difference(confusions - teacher, names, student))
    return Section("Classes", [*figures, *_gains(record, student)])


def count_confusions(target: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(C, C): how many samples of each class (row) are predicted as each class (column)."""
    flat = np.bincount(target * classes + predicted, minlength=classes**2)
    return flat.reshape(classes, classes)


def _gains(record: RunRecord, student: str) -> list[Figure]:
    """The gain of the student's accuracy over the control's, class by class."""
    arrays = record.predictions or {}
    if "alone/predicted" not in arrays or student == "alone":
        return []
    target, names = arrays["target"], record.class_names
    sizes = np.bincount(target, minlength=len(names))
    hits, control = (
        np.bincount(target[arrays[f"{row}/predicted"] == target], minlength=len(names))
        for row in (student, "alone")
    )
    gains = 100 * (hits - control) / np.maximum(sizes, 1)
    tested = [label for label in np.argsort(-np.abs(gains), kind="stable") if sizes[label]]
    chosen = sorted(tested[:_MOST_BARS], key=lambda label: -gains[label])
    bars = [Bar(names[label], float(gains[label]), f"{gains[label]:+.1f}") for label in chosen]
    least, most = sizes[tested].min(), sizes[tested].max()
    samples = f"{least} to {most}" if least != most else f"{least}"
    note = f"Share of a class's test samples that is right ({samples} samples a class)."
    if len(tested) > _MOST_BARS:
        note += f" The {_MOST_BARS} most changed of {len(tested)} classes."
    title = f"Gain of each class: {student} over alone"
    return [bar_chart("class-gain", title, bars, "points of accuracy", note)]


def _matrix(confusions: np.ndarray, names: Sequence[str], student: str) -> Figure:
    sizes = confusions.sum(1)

    def cell(row: int, column: int) -> Cell:
        count = confusions[row, column]
        tooltip = f"{count} of {sizes[row]} {names[row]} taken for {names[column]}"
        return Cell(float(count / max(sizes[row], 1)), str(count) if count else "", tooltip)

    note = "Test samples; shaded by their share of the class."
    return _square("confusion", f"Confusion matrix: {student}", names, cell, note)


def _difference(change: np.ndarray, names: Sequence[str], student: str) -> Figure:
    largest = max(1, int(np.abs(change).max()))

    def cell(row: int, column: int) -> Cell:
        count = int(change[row, column])
        tooltip = f"{names[row]} taken for {names[column]}: {count:+d}"
        return Cell(count / largest, f"{count:+d}" if count else "", tooltip)

    note = "Test samples more (blue) or fewer (orange) than the teacher has there."
    return _square("confusion-difference", f"{student} minus teacher", names, cell, note)


def _square(
    name: str, title: str, names: Sequence[str], cell: Callable[[int, int], Cell], note: str
) -> Figure:
    """A matrix of classes by predicted classes; `cell` takes the indices of row and column."""
    indices = range(len(names))
    cells = [[cell(row, column) for column in indices] for row in indices]
    sides = (Side("class", names), Side("predicted class", names))
    return matrix_chart(name, title, *sides, cells, note)


def _most_confused(confusions: np.ndarray, names: Sequence[str], student: str) -> Figure:
    title = f"Most confused by {student}"
    return _pair_bars("confusion", title, confusions, names, "test samples")


def _most_different(change: np.ndarray, names: Sequence[str], student: str) -> Figure:
    title = f"Confusions: {student} minus teacher"
    return _pair_bars("confusion-difference", title, change, names, "test samples more")


def _pair_bars(
    name: str, title: str, counts: np.ndarray, names: Sequence[str], axis: str
) -> Figure:
    """Bars of the pairs of different classes with the largest counts.

    Args:
        name: of the file.
        title: what is shown.
        counts: (C, C), by class and predicted class.
        names: of the classes.
        axis: label of the axis of counts.
    """
    wrong = counts * ~np.eye(len(counts), dtype=bool)
    order = np.argsort(-np.abs(wrong), axis=None, kind="stable")[:_MOST_BARS]
    pairs = [divmod(int(index), len(names)) for index in order]
    bars = [
        Bar(f"{names[row]} → {names[column]}", float(wrong[row, column]), str(wrong[row, column]))
        for row, column in pairs
        if wrong[row, column]
    ]
    bars.sort(key=lambda bar: -bar.value)
    note = f"Class → predicted class; the first {len(bars)} of {np.count_nonzero(wrong)} pairs."
    return bar_chart(name, title, bars or [Bar("none", 0.0, "0")], axis, note)
