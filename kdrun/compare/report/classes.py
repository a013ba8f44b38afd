"""What the models answered: how sure, what they confuse, and which classes gain."""

from collections.abc import Callable, Sequence

import numpy as np

from kdrun.compare.report.bar_chart import Bar, bar_chart
from kdrun.compare.report.drawing import Figure
from kdrun.compare.report.matrix_chart import Cell, Side, matrix_chart
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.reliability_chart import reliability_chart
from kdrun.compare.report.run_record import Record
from kdrun.compare.report.tables import quiet
from kdrun.core.number_format import share_or_none
from kdrun.core.records.summary import score_of

_CLASSES = 40  # of a matrix that can still be read
_BARS = 20


def calibration(record: Record) -> Section:
    """A reliability diagram of each row."""
    blocks: list[Block] = []
    answers = record.answers or {}
    for row in record.rows:
        name = row["model"]
        if f"{name}/confidence" not in answers:
            continue
        correct = answers[f"{name}/predicted"] == answers["target"]
        title = f"{name}: ECE {share_or_none(score_of(row, 'ece'))} %"
        blocks.append(
            reliability_chart(f"reliability-{name}", title, answers[f"{name}/confidence"], correct)
        )
    told = (
        "Test samples by the probability of the class that was chosen. Dark line: the share that"
        " is right; orange: its gap to the confidence; pale, at the bottom: how many there are."
    )
    missing = "Needs the confidence of each answer, which this run's kdrun did not keep."
    if not record.rows:
        return Section("Calibration", [])
    return Section("Calibration", [quiet(told if blocks else missing), *blocks])


def classes(record: Record) -> Section:
    """What the student takes for what, how that differs from its teacher's, and who gains."""
    answers, student = record.answers, student_of(record)
    if answers is None or student is None:
        return Section("Classes", [])
    target, names = answers["target"], record.classes
    own = counts(target, answers[f"{student}/predicted"], len(names))
    other = None
    if "teacher/predicted" in answers and student != "teacher":
        other = counts(target, answers["teacher/predicted"], len(names))
    figures = _pairs if len(names) > _CLASSES else _matrices
    return Section("Classes", [*figures(student, own, other, names), *_gains(record, student)])


def _gains(record: Record, student: str) -> list[Figure]:
    """Which classes the student gets right more often than the control does."""
    answers = record.answers or {}
    if "alone/predicted" not in answers or student == "alone":
        return []
    target, names = answers["target"], record.classes
    sizes = np.bincount(target, minlength=len(names))
    own, control = (
        np.bincount(target[answers[f"{row}/predicted"] == target], minlength=len(names))
        for row in (student, "alone")
    )
    gains = 100 * (own - control) / np.maximum(sizes, 1)
    shown = [number for number in np.argsort(-np.abs(gains), kind="stable") if sizes[number]]
    chosen = sorted(shown[:_BARS], key=lambda number: -gains[number])
    bars = [Bar(names[number], float(gains[number]), f"{gains[number]:+.1f}") for number in chosen]
    least, most = sizes[shown].min(), sizes[shown].max()
    told = f"{least} to {most}" if least != most else f"{least}"
    note = f"Share of a class's test samples that is right ({told} samples a class)."
    if len(shown) > _BARS:
        note += f" The {_BARS} most changed of {len(shown)} classes."
    title = f"Gain of each class: {student} over alone"
    return [bar_chart("class-gain", title, bars, "points of accuracy", note)]


def student_of(record: Record) -> str | None:
    """The row that the page is about: the distilled student, or the last one."""
    names = [row["model"] for row in record.rows]
    if not names:
        return None
    return "distilled" if "distilled" in names else names[-1]


def counts(target: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(C, C): how many samples of each class (row) were taken for each class (column)."""
    flat = np.bincount(target * classes + predicted, minlength=classes**2)
    return flat.reshape(classes, classes)


def _matrices(
    student: str, own: np.ndarray, other: np.ndarray | None, names: Sequence[str]
) -> list[Figure]:
    matrix = _matrix(student, own, names)
    return [matrix] if other is None else [matrix, _difference(student, own - other, names)]


def _matrix(student: str, own: np.ndarray, names: Sequence[str]) -> Figure:
    shares = own / np.maximum(own.sum(1, keepdims=True), 1)

    def cell(row: int, column: int) -> Cell:
        count = own[row, column]
        told = f"{count} of {own[row].sum()} {names[row]} taken for {names[column]}"
        return Cell(float(shares[row, column]), str(count) if count else "", told)

    note = "Test samples; shaded by their share of the class."
    return _chart("confusion", f"Confusion matrix: {student}", names, cell, note)


def _difference(student: str, change: np.ndarray, names: Sequence[str]) -> Figure:
    most = max(1, int(np.abs(change).max()))

    def cell(row: int, column: int) -> Cell:
        count = int(change[row, column])
        told = f"{names[row]} taken for {names[column]}: {count:+d}"
        return Cell(count / most, f"{count:+d}" if count else "", told)

    note = "Test samples more (blue) or fewer (orange) than the teacher has there."
    return _chart("confusion-difference", f"{student} minus teacher", names, cell, note)


def _chart(
    name: str, title: str, names: Sequence[str], cell: Callable[[int, int], Cell], note: str
) -> Figure:
    """A square of classes by answers, each cell by its row and column."""
    places = range(len(names))
    cells = [[cell(row, column) for column in places] for row in places]
    sides = (Side("class", names), Side("answer", names))
    return matrix_chart(name, title, *sides, cells, note)


def _pairs(
    student: str, own: np.ndarray, other: np.ndarray | None, names: Sequence[str]
) -> list[Figure]:
    """Of many classes: the pairs that are confused most, and most unlike the teacher."""
    figures = [
        _most_confused("confusion", f"Most confused by {student}", own, names, "test samples")
    ]
    if other is not None:
        title, axis = f"Confusions: {student} minus teacher", "test samples more"
        figures.append(_most_confused("confusion-difference", title, own - other, names, axis))
    return figures


def _most_confused(
    name: str, title: str, found: np.ndarray, names: Sequence[str], axis: str
) -> Figure:
    off = found * ~np.eye(len(found), dtype=bool)
    order = np.argsort(-np.abs(off), axis=None, kind="stable")[:_BARS]
    pairs = [divmod(int(at), len(names)) for at in order]
    bars = [
        Bar(f"{names[row]} → {names[column]}", float(off[row, column]), str(off[row, column]))
        for row, column in pairs
        if off[row, column]
    ]
    bars.sort(key=lambda bar: -bar.value)
    note = f"Class → answer; the first {len(bars)} of {np.count_nonzero(off)} pairs."
    return bar_chart(name, title, bars or [Bar("none", 0.0, "0")], axis, note)
