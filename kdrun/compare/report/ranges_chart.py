"""A chart of activations: the range of observed values, and the range that calibration keeps."""

from collections.abc import Mapping, Sequence

from kdrun.compare.report.figure import WIDTH, Figure
from kdrun.compare.report.markup import join, tag
from kdrun.compare.report.palette import color
from kdrun.compare.report.shapes import LETTER, data_group, label, line, shorten

_TOP, _BOTTOM = 6, 40  # margins above and below the rows
_ROW_HEIGHT = 18
_MAX_NAME = 22  # longest name of an activation, in letters
_MAX_ROWS = 30  # the chart has a row for each activation

# `seen` (observed values) and `kept` (quantized without clipping) -> lowest and highest value.
Ranges = Mapping[str, Sequence[float]]


def ranges_chart(name: str, title: str, activations: Mapping[str, Ranges]) -> Figure:
    """Draw each activation as a line over its observed range and a bar over its kept range.

    Each activation is scaled by its largest absolute value.

    Args:
        name: name of the figure's file, without suffix.
        title: title of the figure.
        activations: module path -> ranges of its output, in the order of the network.
    """
    most_clipped = sorted(activations, key=lambda path: _kept_share(activations[path]))[:_MAX_ROWS]
    paths = [path for path in activations if path in most_clipped]
    scaled = {path: _scaled(activations[path]) for path in paths}
    names = {path: shorten(path, _MAX_NAME) for path in paths}
    left = 14 + LETTER * max(map(len, names.values()))
    lowest = min(-0.05, *(ranges["seen"][0] for ranges in scaled.values()))
    bottom = _TOP + _ROW_HEIGHT * len(paths)

    def x_of(value: float) -> float:
        clipped = min(1.0, max(lowest, value))  # the kept range may exceed the observed range
        return left + (clipped - lowest) / (1 - lowest) * (WIDTH - left - 12)

    frame, ranges = [], []
    for value in (-1.0, -0.5, 0.0, 0.5, 1.0):
        if value >= lowest:
            frame.append(line(x_of(value), _TOP, x_of(value), bottom, color("grid")))
            frame.append(label(x_of(value), bottom + 15, f"{value:g}", "middle"))
    axis = "share of the largest observed value"
    frame.append(label((left + WIDTH) / 2, bottom + _BOTTOM - 6, axis, "middle"))
    for number, path in enumerate(paths):
        y = _TOP + _ROW_HEIGHT * number + _ROW_HEIGHT / 2
        seen, kept = scaled[path]["seen"], scaled[path]["kept"]
        frame.append(label(left - 8, y + 4, names[path], "end", fill=color("ink")))
        text = {key: f"{ends[0]:.3g} to {ends[1]:.3g}" for key, ends in activations[path].items()}
        tooltip = tag("title", f"{path}: observed {text['seen']}, kept {text['kept']}")
        bar = {"x": x_of(kept[0]), "width": max(x_of(kept[1]) - x_of(kept[0]), 0.8)}
        ranges.append(tag("rect", tooltip, y=y - 5, height=10, rx=2, fill=color("positive"), **bar))
        ranges.append(line(x_of(seen[0]), y, x_of(seen[1]), y, color("negative"), stroke_width=2.5))
    note = "Bar: kept range; orange line: observed range. Values outside the bar are clipped."
    if len(activations) > len(paths):
        note += f" The {len(paths)} of {len(activations)} activations that are clipped most."
    return Figure(name, title, WIDTH, bottom + _BOTTOM, join([*frame, data_group(ranges)]), note)


def _scaled(ranges: Ranges) -> Ranges:
    """Divide the ranges by the largest absolute observed value."""
    largest = max(abs(end) for end in ranges["seen"]) or 1.0
    return {key: [end / largest for end in ranges[key]] for key in ("seen", "kept")}


def _kept_share(ranges: Ranges) -> float:
    """Return the share of the observed range that is within the kept range."""
    seen, kept = ranges["seen"], ranges["kept"]
    length = seen[1] - seen[0]
    return (min(seen[1], kept[1]) - max(seen[0], kept[0])) / length if length else 1.0
