"""The values that a calibrator saw in each activation, and the range that it kept of them."""

from collections.abc import Mapping, Sequence

from kdrun.compare.report.figure import WIDTH, Figure
from kdrun.compare.report.markup import join, tag
from kdrun.compare.report.palette import color
from kdrun.compare.report.shapes import LETTER, label, line, marks, shorten

_TOP, _BOTTOM = 6, 40  # margins above and below the rows
_ROW = 18  # height of an activation's row
_NAME = 22  # letters of an activation's name
_MOST = 30  # activations in the chart

Ranges = Mapping[str, Sequence[float]]  # `seen` and `kept` -> lowest and highest value


def ranges_chart(name: str, title: str, activations: Mapping[str, Ranges]) -> Figure:
    """A thin line from the lowest to the highest value seen, and a bar over what is kept.

    Each activation has a scale of its own, on which its largest absolute value is 1.

    Args:
        name: of the file.
        title: what is shown.
        activations: module path -> its ranges, in the order of the network.
    """
    most_clipped = sorted(activations, key=lambda path: _kept_share(activations[path]))[:_MOST]
    paths = [path for path in activations if path in most_clipped]
    scaled = {path: _scaled(activations[path]) for path in paths}
    names = {path: shorten(path, _NAME) for path in paths}
    left = 14 + LETTER * max(map(len, names.values()))
    lowest = min(-0.05, *(ranges["seen"][0] for ranges in scaled.values()))
    bottom = _TOP + _ROW * len(paths)

    def x_of(value: float) -> float:
        inside = min(1.0, max(lowest, value))  # what is kept may reach farther than what was seen
        return left + (inside - lowest) / (1 - lowest) * (WIDTH - left - 12)

    frame, ranges = [], []
    for value in (-1.0, -0.5, 0.0, 0.5, 1.0):
        if value >= lowest:
            frame.append(line(x_of(value), _TOP, x_of(value), bottom, color("grid")))
            frame.append(label(x_of(value), bottom + 15, f"{value:g}", "middle"))
    axis = "share of the largest value seen"
    frame.append(label((left + WIDTH) / 2, bottom + _BOTTOM - 6, axis, "middle"))
    for number, path in enumerate(paths):
        y = _TOP + _ROW * number + _ROW / 2
        seen, kept = scaled[path]["seen"], scaled[path]["kept"]
        frame.append(label(left - 8, y + 4, names[path], "end", fill=color("ink")))
        text = {key: f"{ends[0]:.3g} to {ends[1]:.3g}" for key, ends in activations[path].items()}
        tooltip = tag("title", f"{path}: {text['seen']} seen, {text['kept']} kept")
        bar = {"x": x_of(kept[0]), "width": max(x_of(kept[1]) - x_of(kept[0]), 0.8)}
        ranges.append(tag("rect", tooltip, y=y - 5, height=10, rx=2, fill=color("heat"), **bar))
        ranges.append(line(x_of(seen[0]), y, x_of(seen[1]), y, color("loss"), stroke_width=2.5))
    note = "Bar: what is kept; orange line: what was seen. Values outside the bar are clipped."
    if len(activations) > len(paths):
        note += f" The {len(paths)} of {len(activations)} activations of which least is kept."
    return Figure(name, title, WIDTH, bottom + _BOTTOM, join([*frame, marks(ranges)]), note)


def _scaled(ranges: Ranges) -> Ranges:
    """The ranges as shares of the largest absolute value seen."""
    largest = max(abs(end) for end in ranges["seen"]) or 1.0
    return {key: [end / largest for end in ranges[key]] for key in ("seen", "kept")}


def _kept_share(ranges: Ranges) -> float:
    """The length of what is kept of the range seen, as a share of its length."""
    seen, kept = ranges["seen"], ranges["kept"]
    length = seen[1] - seen[0]
    return (min(seen[1], kept[1]) - max(seen[0], kept[0])) / length if length else 1.0
