"""Whether a model is right as often as it is sure: Guo et al. 2017, figure 1."""

from typing import Any

import numpy as np

from kdrun.compare.report.axis import Axis
from kdrun.compare.report.drawing import Figure, label, line
from kdrun.compare.report.markup import Markup, join, tag
from kdrun.compare.report.palette import color

BINS = 15  # as those of the calibration error in the tables
_SIDE, _LEFT, _TOP, _BELOW = 168, 44, 8, 44


def reliability_chart(
    name: str, title: str, confidence: np.ndarray, correct: np.ndarray, note: str = ""
) -> Figure:
    """A bar of accuracy for each bin of confidence; its gap to the diagonal is the error.

    Args:
        name: of the file.
        title: what is shown.
        confidence: (n,) probability of the predicted class.
        correct: (n,) bool.
        note: below the drawing.
    """
    bins = np.searchsorted(np.arange(1, BINS) / BINS, confidence, side="left")
    sizes = np.bincount(bins, minlength=BINS)
    hits = np.bincount(bins, weights=correct, minlength=BINS)
    sure = np.bincount(bins, weights=confidence, minlength=BINS)
    axis = Axis("", 0.0, 1.0)
    bottom = _TOP + _SIDE

    def x(value: float) -> float:
        return _LEFT + value * _SIDE

    def y(value: float) -> float:
        return bottom - value * _SIDE

    parts, marks = [], []
    for value, _ in axis.ticks():
        parts.append(line(_LEFT, y(value), x(1), y(value), color("grid")))
        parts.append(label(_LEFT - 6, y(value) + 4, f"{100 * value:.0f}", "end"))
        parts.append(label(x(value), bottom + 15, f"{100 * value:.0f}", "middle"))
    parts.append(label(x(0.5), bottom + 34, "confidence, %", "middle"))
    turned = f"rotate(-90 11 {y(0.5):.1f})"
    parts.append(label(11, y(0.5), "accuracy, %", "middle", transform=turned))
    for number in np.flatnonzero(sizes):
        size = sizes[number]
        right, mean = hits[number] / size, sure[number] / size
        told = f"{size} samples: confidence {100 * mean:.1f} %, accuracy {100 * right:.1f} %"
        low, high = sorted((float(right), float(mean)))
        bar = {"x": x(number / BINS) + 0.5, "width": _SIDE / BINS - 1}
        marks += [
            _box(told, y(low), y(0), fill=color("heat"), **bar),
            _box(told, y(high), y(low), fill=color("loss"), fill_opacity="0.4", **bar),
            _box(told, y(right) - 1, y(right) + 1, fill=color("ink"), **bar),
        ]
        share = 22 * size / sizes.max()
        pale = {"fill": color("on-heat"), "fill_opacity": "0.5"}
        marks.append(_box(told, y(0) - share, y(0), **pale, **bar))
    parts.append(tag("g", join(marks), class_="marks"))
    parts.append(line(x(0), y(0), x(1), y(1), color("quiet"), stroke_dasharray="4 3"))
    return Figure(name, title, _LEFT + _SIDE + 12, bottom + _BELOW, join(parts), note)


def _box(told: str, top: float, bottom: float, **more: Any) -> Markup:
    return tag("rect", tag("title", told), y=float(top), height=float(bottom - top), **more)
