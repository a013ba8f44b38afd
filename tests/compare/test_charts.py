"""The charts as SVG: their marks stand where the figures say, and nothing in them is markup."""

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from kdrun.compare.report.axis import Axis, nice_step
from kdrun.compare.report.bar_chart import Bar, bar_chart
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.line_chart import Curve, line_chart
from kdrun.compare.report.matrix_chart import Cell, Side, matrix_chart
from kdrun.compare.report.palette import DARK, LIGHT, SERIES_COLORS
from kdrun.compare.report.png import png
from kdrun.compare.report.ranges_chart import ranges_chart
from kdrun.compare.report.reliability_chart import reliability_chart
from kdrun.compare.report.scatter_chart import Point, scatter_chart
from kdrun.compare.report.shapes import shorten

SVG = "{http://www.w3.org/2000/svg}"


def parsed(figure: Figure) -> ElementTree.Element:
    """The file of a figure; it must be XML."""
    return ElementTree.fromstring(figure.standalone())


def marks(figure: Figure, kind: str) -> list[dict[str, str]]:
    root = parsed(figure)
    (group,) = (one for one in root.iter(f"{SVG}g") if one.get("class") == "marks")
    return [dict(one.attrib) for one in group.iter(f"{SVG}{kind}")]


def points(text: str) -> list[tuple[float, float]]:
    return [tuple(map(float, pair.split(","))) for pair in text.split()]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (93.2, 97.9, ["94", "95", "96", "97"]),
        (-0.05, 0.05, ["-0.04", "-0.02", "0.00", "0.02", "0.04"]),
        (0, 60_000, ["0", "20 k", "40 k", "60 k"]),
    ],
)
def test_ticks_are_round_and_within(low: float, high: float, words: list[str]) -> None:
    found = Axis("x", low, high).ticks()
    assert [text for _, text in found] == words
    assert all(low <= value <= high for value, _ in found)


def test_ticks_of_epochs_are_whole() -> None:
    assert [text for _, text in Axis("epoch", 0.9, 3.1, integers=True).ticks()] == ["1", "2", "3"]


@pytest.mark.parametrize("span", [1.01, 1.3, 3.0, 40.0, 1e6, 1e12])
@pytest.mark.parametrize("low", [1e-3, 0.7, 55_555.0])
def test_logarithmic_axes_have_a_few_ticks_over_any_span(low: float, span: float) -> None:
    found = Axis.around("bytes", [low, low * span], log=True).ticks()
    assert 2 <= len(found) <= 8
    assert len({text for _, text in found}) == len(found)


@pytest.mark.parametrize("values", [[], [3.0], [0.0, 0.0], [1.0, 1.0 + 1e-16], [-2.0, 5.0]])
def test_an_axis_is_there_for_any_values(values: list[float]) -> None:
    axis = Axis.around("x", values)
    assert axis.low < axis.high
    assert all(0 < axis.fraction(value) < 1 for value in values)
    assert axis.ticks()


def test_an_axis_leaves_out_what_is_no_number() -> None:
    assert Axis.around("x", [1.0, float("nan"), 2.0, float("inf")]) == Axis.around("x", [1.0, 2.0])


def test_steps_are_one_two_five() -> None:
    assert [nice_step(step) for step in (0.9, 1.1, 2.5, 6, 0.03)] == [1, 2, 5, 10, 0.05]


def test_a_curve_goes_through_its_points_and_is_marked_at_its_best() -> None:
    curve = Curve("kd", [(1, 50), (2, 75), (3, 100)], 0, marked=2)
    figure = line_chart("f", "t", [curve], ("epoch", "%"))
    (line,) = marks(figure, "polyline")
    (first, second, third) = points(line["points"])
    assert first[0] < second[0] < third[0]
    assert first[1] > second[1] > third[1]  # down the page is less
    assert second[1] == pytest.approx((first[1] + third[1]) / 2, abs=0.1)
    rings = [one for one in marks(figure, "circle") if one["r"] == "4.5"]
    assert [(float(one["cx"]), float(one["cy"])) for one in rings] == [second]


def test_a_band_lies_between_its_ends() -> None:
    curve = Curve("kd", [(1, 5), (2, 6)], 0, band=[(1, 4, 6), (2, 5, 7)])
    figure = line_chart("f", "t", [curve], ("epoch", "%"))
    (band,) = (one for one in marks(figure, "polygon") if "fill-opacity" in one)
    (line,) = marks(figure, "polyline")
    (left_high, right_high, right_low, left_low) = points(band["points"])
    left, right = points(line["points"])
    assert left_high[1] < left[1] < left_low[1]
    assert right_high[1] < right[1] < right_low[1]


def test_of_many_curves_those_beyond_the_colors_are_grey_and_share_a_name() -> None:
    curves = [Curve(f"c{number}", [(1, number), (2, number)], number) for number in range(20)]
    figure = line_chart("f", "t", curves, ("epoch", "%"))
    strokes = [one["stroke"] for one in marks(figure, "polyline")]
    assert strokes.count(LIGHT["uncolored"]) == 20 - SERIES_COLORS
    assert len(set(strokes)) == SERIES_COLORS + 1
    assert "12 others" in figure.standalone()


def test_the_front_is_ringed_and_joined_by_a_staircase() -> None:
    found = [
        Point("small", 10, 80, 0, front=True),
        Point("bad", 100, 70, 1),
        Point("large", 1000, 90, 2, front=True),
    ]
    figure = scatter_chart("f", "t", found, ("bytes", "%"))
    (front,) = marks(figure, "polyline")
    start, corner, end = points(front["points"])
    assert start[1] == corner[1]
    assert corner[0] == end[0]
    rings = [one for one in marks(figure, "circle") if one["r"] == "9.5"]
    assert {float(one["cx"]) for one in rings} == {start[0], end[0]}


def test_equal_factors_are_equal_steps_of_cost() -> None:
    axis = Axis.around("bytes", [10, 100, 1000], log=True)
    low, middle, high = (axis.fraction(cost) for cost in (10, 100, 1000))
    assert high - middle == pytest.approx(middle - low)
    assert middle - low > 0.3


def test_bars_go_from_zero_by_their_values() -> None:
    bars = [Bar("a", 4, "+4"), Bar("b", 2, "+2"), Bar("c", -2, "-2")]
    found = marks(bar_chart("f", "t", bars, "points"), "rect")
    widths = [float(one["width"]) for one in found]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)
    assert widths[1] == pytest.approx(widths[2], abs=0.2)
    ends = [float(one["x"]) + float(one["width"]) for one in found]
    assert float(found[0]["x"]) == float(found[1]["x"]) == pytest.approx(ends[2], abs=0.2)
    assert [one["fill"] for one in found] == [
        LIGHT["positive"],
        LIGHT["positive"],
        LIGHT["negative"],
    ]


def test_cells_are_shaded_by_their_strength_and_gaps_stay_empty() -> None:
    cells = [[Cell(1.0, "9", "most"), None], [Cell(-0.5, "-4", "less"), Cell(0, "", "none", True)]]
    sides = (Side("row", ["a", "b"]), Side("column", ["c", "d"]))
    found = marks(matrix_chart("f", "t", *sides, cells), "rect")
    assert [one["fill-opacity"] for one in found] == ["1.00", "0.52", "0.04"]
    assert [one["fill"] for one in found] == [
        LIGHT["positive"],
        LIGHT["negative"],
        LIGHT["positive"],
    ]
    assert [one.get("stroke") for one in found] == [None, None, LIGHT["ink"]]


def test_reliability_bins_are_those_of_the_calibration_error() -> None:
    confidence = np.array([0.05, 0.19, 0.2, 0.5, 0.55, 0.99, 0.99, 0.99])
    correct = np.array([False, False, True, True, False, True, True, False])
    text = reliability_chart("f", "t", confidence, correct).standalone()
    told = set(re.findall(r"<title>(\d+ samples: [^<]*)</title>", text))
    assert told == {
        "1 samples: confidence 5.0 %, accuracy 0.0 %",
        "2 samples: confidence 19.5 %, accuracy 50.0 %",  # 20 % ends its bin
        "1 samples: confidence 50.0 %, accuracy 100.0 %",
        "1 samples: confidence 55.0 %, accuracy 0.0 %",
        "3 samples: confidence 99.0 %, accuracy 66.7 %",
    }


def test_ranges_show_what_is_kept_over_what_was_seen() -> None:
    ranges = {
        "relu": {"seen": [0.0, 10.0], "kept": [0.0, 5.0]},
        "conv": {"seen": [-2.0, 1.0], "kept": [-2.0, 1.0]},
    }
    figure = ranges_chart("f", "t", ranges)
    half, whole = marks(figure, "rect")
    half_seen, whole_seen = marks(figure, "line")
    length = float(half_seen["x2"]) - float(half_seen["x1"])
    assert float(half["width"]) == pytest.approx(length / 2, abs=0.2)
    assert float(whole["x"]) == float(whole_seen["x1"])
    assert float(whole["width"]) == pytest.approx(1.5 * length, abs=0.2)


def test_of_many_ranges_those_are_shown_of_which_least_is_kept() -> None:
    ranges = {f"a{at}": {"seen": [0, 1], "kept": [0, 1 - at / 100]} for at in range(50)}
    figure = ranges_chart("f", "t", ranges)
    assert "The 30 of 50 activations" in figure.note
    assert ">a49<" in figure.body
    assert ">a5<" not in figure.body


def test_a_file_of_its_own_has_plain_colors_and_escaped_words() -> None:
    hostile = "</title><script>alert(1)</script>"
    figure = line_chart("f", hostile, [Curve(hostile, [(1, 2)], 0)], (hostile, hostile), hostile)
    text = figure.standalone()
    assert "var(" not in text
    assert "<script" not in text
    assert LIGHT["series-1"] in text
    title = parsed(figure).find(f"{SVG}title")
    assert title is not None
    assert title.text == hostile


def test_an_image_is_a_png_that_others_read() -> None:
    image = pytest.importorskip("PIL.Image")
    for channels in (1, 3):
        pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
        read = np.asarray(image.open(io.BytesIO(png(pixels))))
        assert (read.reshape(pixels.shape) == pixels).all()


def test_long_names_keep_both_ends() -> None:
    assert shorten("layer2.0.downsample.0", 12) == "layer2…ple.0"
    assert shorten("fc", 12) == "fc"


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colors_stand_out_from_the_card(theme: dict[str, str]) -> None:
    def contrast(name: str) -> float:
        one, other = sorted((luminance(theme[name]), luminance(theme["card"])))
        return (other + 0.05) / (one + 0.05)

    assert all(contrast(f"series-{number}") >= 3 for number in range(1, SERIES_COLORS + 1))
    assert all(contrast(name) >= 4.5 for name in ("ink", "muted", "accent", "good", "bad"))
    assert LIGHT.keys() == DARK.keys()
