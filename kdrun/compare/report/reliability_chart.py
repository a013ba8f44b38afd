"""A reliability diagram: accuracy by confidence, as in Guo et al. 2017, figure 1."""

from typing import Any

import numpy as np

from kdrun.compare.report.axis import Axis
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.markup import Markup, join, tag
from kdrun.compare.report.palette import color
from kdrun.compare.report.shapes import data_group, label, line, vertical_label

BINS = 15  # as many as the calibration error (ECE) in the tables
_SIDE = 168  # side of the square plot area
_LEFT, _TOP, _RIGHT, _BOTTOM = 44, 8, 12, 44  # margins around the plot area
_END = _TOP + _SIDE  # the lower edge of the plot area


def reliability_chart(
    name: str, title: str, confidence: np.ndarray, correct: np.ndarray, note: str = ""
) -> Figure:
    """Draw a bar of accuracy for each bin of confidence; its gap to the diagonal is the error.

    Args:
        name: name of the figure's file, without suffix.
        title: title of the figure.
        confidence: (N,) probability of the predicted class.
        correct: (N,) bool: whether the prediction is right.
        note: text below the figure.
    """
    bins = np.searchsorted(np.arange(1, BINS) / BINS, confidence, side="left")
    sizes = np.bincount(bins, minlength=BINS)
    hits = np.bincount(bins, weights=correct, minlength=BINS)
    confidences = np.bincount(bins, weights=confidence, minlength=BINS)
    bars = [
        bar
        for number in np.flatnonzero(sizes)
        for bar in _draw_bin(
            int(number),
            hits[number] / sizes[number],
            confidences[number] / sizes[number],
            sizes[number],
            sizes.max(),
        )
    ]
    diagonal = line(_x(0), _y(0), _x(1), _y(1), color("muted"), stroke_dasharray="4 3")
    body = join([*_axes(), data_group(bars), diagonal])
    return Figure(name, title, _LEFT + _SIDE + _RIGHT, _END + _BOTTOM, body, note)


def _x(value: float) -> float:
    return _LEFT + value * _SIDE


def _y(value: float) -> float:
    return _END - value * _SIDE


def _axes() -> list[Markup]:
    elements = []
    for value, _ in Axis("", 0.0, 1.0).ticks():
        elements.append(line(_LEFT, _y(value), _x(1), _y(value), color("grid")))
        elements.append(label(_LEFT - 6, _y(value) + 4, f"{100 * value:.0f}", "end"))
        elements.append(label(_x(value), _END + 15, f"{100 * value:.0f}", "middle"))
    elements.append(label(_x(0.5), _END + 34, "confidence, %", "middle"))
    elements.append(vertical_label(11, _y(0.5), "accuracy, %", "middle"))
    return elements


def _draw_bin(
    number: int, accuracy: float, confidence: float, size: int, largest: int
) -> list[Markup]:
    """Draw the accuracy of a bin, its gap to the mean confidence, and its number of samples.

    Args:
        number: number of the bin, from 0.
        accuracy: accuracy on the bin's samples, in 0..1.
        confidence: mean confidence on the bin's samples, in 0..1.
        size: number of samples in the bin.
        largest: number of samples in the largest bin.
    """
    tooltip = (
        f"{size} samples: confidence {100 * confidence:.1f} %, accuracy {100 * accuracy:.1f} %"
    )
    low, high = sorted((float(accuracy), float(confidence)))
    column = {"x": _x(number / BINS) + 0.5, "width": _SIDE / BINS - 1}
    pale = {"fill": color("on-fill"), "fill_opacity": "0.5"}
    return [
        _box(tooltip, _y(low), _y(0), fill=color("positive"), **column),
        _box(tooltip, _y(high), _y(low), fill=color("negative"), fill_opacity="0.4", **column),
        _box(tooltip, _y(accuracy) - 1, _y(accuracy) + 1, fill=color("ink"), **column),
        _box(tooltip, _y(0) - 22 * size / largest, _y(0), **pale, **column),
    ]


def _box(tooltip: str, top: float, bottom: float, **attributes: Any) -> Markup:
    box = {"y": float(top), "height": float(bottom - top)}
    return tag("rect", tag("title", tooltip), **box, **attributes)
