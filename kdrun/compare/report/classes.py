"""The classes section of a run's page: confusions of classes, and the gain of each class."""

from collections.abc import Callable, Sequence

import numpy as np

from kdrun.compare.report.bar_chart import Bar, bar_chart
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.matrix_chart import Cell, Side, matrix_chart
from kdrun.compare.report.page import Section
from kdrun.compare.report.run_record import RunRecord

_MAX_CLASSES = 40  # of a confusion matrix; with more classes, bars show the most confused pairs
_MAX_BARS = 20


def classes(record: RunRecord) -> Section:
    """Chart the student's confusions, alone and minus the teacher's, and the gain of each class."""
    arrays, student = record.predictions, record.student
    if arrays is None or student is None:
        return Section("Classes", [])
    target, names = arrays["target"], record.class_names
    confusions = count_confusions(target, arrays[f"{student}/predicted"], len(names))
    chart = _matrix if len(names) <= _MAX_CLASSES else _most_confused
    figures = [chart(confusions, names, student)]
    if "teacher/predicted" in arrays and student != "teacher":
        teacher = count_confusions(target, arrays["teacher/predicted"], len(names))
        difference = _difference if len(names) <= _MAX_CLASSES else _most_different
        figures.append(difference(confusions - teacher, names, student))
    return Section("Classes", [*figures, *_gains(record, student)])


def count_confusions(target: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Return the confusion matrix: (C, C) counts by class (row) and predicted class (column)."""
    flat = np.bincount(target * classes + predicted, minlength=classes**2)
    return flat.reshape(classes, classes)


def _gains(record: RunRecord, student: str) -> list[Figure]:
    """Chart the student's accuracy minus the control's for each class; [] without a control."""
    arrays = record.predictions or {}
    if "alone/predicted" not in arrays or student == "alone":
        return []
    target, names = arrays["target"], record.class_names
    sizes = np.bincount(target, minlength=len(names))
    student_hits, control_hits = (
        np.bincount(target[arrays[f"{row}/predicted"] == target], minlength=len(names))
        for row in (student, "alone")
    )
    gains = 100 * (student_hits - control_hits) / np.maximum(sizes, 1)
    tested_classes = [label for label in np.argsort(-np.abs(gains), kind="stable") if sizes[label]]
    shown = sorted(tested_classes[:_MAX_BARS], key=lambda label: -gains[label])
    bars = [Bar(names[label], float(gains[label]), f"{gains[label]:+.1f}") for label in shown]
    least, most = sizes[tested_classes].min(), sizes[tested_classes].max()
    samples = f"{least} to {most}" if least != most else f"{least}"
    note = f"Difference of accuracy on the test samples of a class ({samples} samples each)."
    if len(tested_classes) > _MAX_BARS:
        note += f" The {_MAX_BARS} most changed of {len(tested_classes)} classes."
    title = f"Gain of each class: {student} over alone"
    return [bar_chart("class-gain", title, bars, "points of accuracy", note)]


def _matrix(confusions: np.ndarray, names: Sequence[str], student: str) -> Figure:
    sizes = confusions.sum(1)

    def cell(row: int, column: int) -> Cell:
        count = confusions[row, column]
        tooltip = f"{count} of {sizes[row]} {names[row]} predicted as {names[column]}"
        return Cell(float(count / max(sizes[row], 1)), str(count) if count else "", tooltip)

    note = "Test samples; a darker cell is a larger share of the class."
    return _class_matrix("confusion", f"Confusion matrix: {student}", names, cell, note)


def _difference(change: np.ndarray, names: Sequence[str], student: str) -> Figure:
    largest = max(1, int(np.abs(change).max()))

    def cell(row: int, column: int) -> Cell:
        count = int(change[row, column])
        tooltip = f"{names[row]} predicted as {names[column]}: {count:+d}"
        return Cell(count / largest, f"{count:+d}" if count else "", tooltip)

    note = "Blue: more test samples than with the teacher; orange: fewer."
    return _class_matrix("confusion-difference", f"{student} minus teacher", names, cell, note)


def _class_matrix(
    name: str, title: str, names: Sequence[str], cell: Callable[[int, int], Cell], note: str
) -> Figure:
    """Draw a matrix of classes by predicted classes.

    Args:
        name: name of the figure's file, without suffix.
        title: title of the figure.
        names: names of the classes.
        cell: returns a cell, given the indices of its row and column.
        note: text below the figure.
    """
    indices = range(len(names))
    cells = [[cell(row, column) for column in indices] for row in indices]
    rows, columns = Side("class", names), Side("predicted class", names)
    return matrix_chart(name, title, rows, columns, cells, note)


def _most_confused(confusions: np.ndarray, names: Sequence[str], student: str) -> Figure:
    title = f"Most confused by {student}"
    return _pair_bars("confusion", title, confusions, names, "test samples")


def _most_different(change: np.ndarray, names: Sequence[str], student: str) -> Figure:
    title = f"Confusions: {student} minus teacher"
    return _pair_bars("confusion-difference", title, change, names, "test samples more")


def _pair_bars(
    name: str, title: str, counts: np.ndarray, names: Sequence[str], axis: str
) -> Figure:
    """Draw bars of the pairs of different classes with the largest counts.

    Args:
        name: name of the figure's file, without suffix.
        title: title of the figure.
        counts: (C, C) by class (row) and predicted class (column).
        names: names of the classes.
        axis: label of the axis of counts.
    """
    confusions = counts * ~np.eye(len(counts), dtype=bool)
    order = np.argsort(-np.abs(confusions), axis=None, kind="stable")[:_MAX_BARS]
    pairs = [divmod(int(index), len(names)) for index in order]
    bars = [
        Bar(
            f"{names[row]} → {names[column]}",
            float(confusions[row, column]),
            str(confusions[row, column]),
        )
        for row, column in pairs
        if confusions[row, column]
    ]
    bars.sort(key=lambda bar: -bar.value)
    note = (
        f"Class → predicted class; the first {len(bars)} of {np.count_nonzero(confusions)} pairs."
    )
    return bar_chart(name, title, bars or [Bar("none", 0.0, "0")], axis, note)
