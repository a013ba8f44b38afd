"""What a calibrator kept of the values that it saw, activation by activation."""

from collections.abc import Mapping, Sequence

from kdrun.compare.report.drawing import LETTER, WIDTH, Figure, label, line, shortened
from kdrun.compare.report.markup import join, tag
from kdrun.compare.report.palette import color

_ROW, _TOP, _BELOW, _NAME, _MOST = 18, 6, 40, 22, 30

Ends = Mapping[str, Sequence[float]]  # seen and kept: low, high


def ranges_chart(name: str, title: str, ranges: Mapping[str, Ends]) -> Figure:
    """A thin line from the least to the greatest value seen, and a bar over what is kept.

    Each activation is drawn on a scale of its own, so that its largest absolute value is 1.

    Args:
        name: of the file.
        title: what is shown.
        ranges: activation -> its ends, in the order of the network.
    """
    shown = sorted(ranges, key=lambda one: _kept_share(ranges[one]))[:_MOST]
    rows = [one for one in ranges if one in shown]
    left = 14 + LETTER * max(len(shortened(one, _NAME)) for one in rows)
    low = min(-0.05, *(ranges[one]["seen"][0] / _limit(ranges[one]) for one in rows))
    bottom, height = _TOP + _ROW * len(rows), _TOP + _ROW * len(rows) + _BELOW

    def place(value: float) -> float:
        inside = min(1.0, max(low, value))  # ranges that reach farther than anything seen are cut
        return left + (inside - low) / (1 - low) * (WIDTH - left - 12)

    parts, marks = [], []
    for value in (-1.0, -0.5, 0.0, 0.5, 1.0):
        if value >= low:
            parts.append(line(place(value), _TOP, place(value), bottom, color("grid")))
            parts.append(label(place(value), bottom + 15, f"{value:g}", "middle"))
    parts.append(label((left + WIDTH) / 2, height - 6, "share of the largest value seen", "middle"))
    for number, one in enumerate(rows):
        y = _TOP + _ROW * number + _ROW / 2
        seen, kept = (
            [end / _limit(ranges[one]) for end in ranges[one][key]] for key in ("seen", "kept")
        )
        parts.append(label(left - 8, y + 4, shortened(one, _NAME), "end", fill=color("ink")))
        told = tag(
            "title", f"{one}: {_ends(ranges[one], 'seen')} seen, {_ends(ranges[one], 'kept')} kept"
        )
        bar = {"x": place(kept[0]), "width": max(place(kept[1]) - place(kept[0]), 0.8)}
        marks.append(tag("rect", told, y=y - 5, height=10, rx=2, fill=color("heat"), **bar))
        marks.append(line(place(seen[0]), y, place(seen[1]), y, color("loss"), stroke_width=2.5))
    note = "Bar: what is kept; orange line: what was seen. Values outside the bar are clipped."
    if len(ranges) > len(rows):
        note += f" The {len(rows)} of {len(ranges)} activations of which least is kept."
    body = join([*parts, tag("g", join(marks), class_="marks")])
    return Figure(name, title, WIDTH, height, body, note)


def _limit(ends: Ends) -> float:
    return max(abs(end) for end in ends["seen"]) or 1.0


def _kept_share(ends: Ends) -> float:
    """Of what was seen, by length."""
    low, high = (max(ends["seen"][0], ends["kept"][0]), min(ends["seen"][1], ends["kept"][1]))
    whole = ends["seen"][1] - ends["seen"][0]
    return (high - low) / whole if whole else 1.0


def _ends(ends: Ends, key: str) -> str:
    return f"{ends[key][0]:.3g} to {ends[key][1]:.3g}"
