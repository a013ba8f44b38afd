"""The section on soft labels: a few test images with the probabilities that each model gives."""

import base64
from dataclasses import dataclass

import numpy as np

from kdrun.compare.report.elements import quiet
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.palette import color, series_color
from kdrun.compare.report.png import png
from kdrun.compare.report.run_record import RunRecord
from kdrun.compare.report.shapes import LETTER, label, marker, shorten

_SHOWN = ("teacher", "alone", "distilled")  # rows of the table, if the run has them
_WIDTH = 250  # of an example's chart
_BAR = 7  # height of a bar
_NAME = 9  # letters of a class name


@dataclass(frozen=True)
class _Examples:
    """The examples of a run.

    Attributes:
        arrays: of examples.npz, by name.
        classes: names of the classes.
        rows: the models that have bars, with the number of their color.
    """

    arrays: dict[str, np.ndarray]
    classes: list[str]
    rows: dict[str, int]

    def class_name(self, label: int) -> str:
        return self.classes[label] if label < len(self.classes) else str(label)


def soft_labels(record: RunRecord) -> Section:
    """Images, and the probabilities of their likeliest classes."""
    if not record.rows:
        return Section("Soft labels", [])
    arrays = record.examples
    if arrays is None:
        return Section("Soft labels", [quiet("This run's kdrun kept no examples.")])
    names = [row["model"] for row in record.rows]
    shown = [row for row in _SHOWN if row in names] or names[:3]
    examples = _Examples(arrays, record.class_names, {row: names.index(row) for row in shown})
    count = len(arrays["target"])
    text = (
        f"The {count} test images of whose class {arrays['row']} is least sure, the least"
        " sure first; a full bar is 100 %, at temperature 1; the true class is on top."
    )
    cards = [_card(examples, number) for number in range(count)]
    legend = tag(
        "div", *(_legend_entry(*entry) for entry in examples.rows.items()), class_="legend"
    )
    blocks: list[Block] = [quiet(text), legend, tag("div", *cards, class_="examples")]
    return Section("Soft labels", blocks)


def _card(examples: _Examples, number: int) -> Markup:
    """One image with its class, its index and its bars."""
    arrays = examples.arrays
    pixels = arrays["images"][number]
    drawn = png(pixels if pixels.shape[2] in (1, 3) else pixels[..., :1])
    source = f"data:image/png;base64,{base64.b64encode(drawn).decode()}"
    target = examples.class_name(int(arrays["target"][number]))
    image = tag("img", src=source, alt=f"test image of class {target}")
    index = tag("div", f"test {arrays['index'][number]}", class_="quiet")
    head = tag("div", image, tag("div", tag("b", target), index), class_="head")
    return tag("div", head, _bars(examples, number), class_="example")


def _bars(examples: _Examples, number: int) -> Markup:
    """For each of the likeliest classes of an image, a bar for each model."""
    classes = [examples.class_name(int(label)) for label in examples.arrays["classes"][number]]
    left = 8 + LETTER * max(len(shorten(name, _NAME)) for name in classes)
    group = _BAR * len(examples.rows)  # height of a class's bars
    elements = []
    for position, name in enumerate(classes):
        top = position * (group + 6)
        text = shorten(name, _NAME)
        elements.append(label(left - 6, top + group / 2 + 4, text, "end", fill=color("ink")))
        field = {"x": left, "width": _WIDTH - left, "fill": color("grid"), "fill_opacity": "0.5"}
        elements.append(tag("rect", y=top, height=group - 1, **field))
        for line, (row, series) in enumerate(examples.rows.items()):
            share = float(examples.arrays[f"{row}/probability"][number, position])
            tooltip = tag("title", f"{row}: {name} {100 * share:.1f} %")
            bar = {"x": left, "width": max(share * (_WIDTH - left), 0.6), "height": _BAR - 1}
            fill = series_color(series)
            elements.append(tag("rect", tooltip, y=top + _BAR * line, fill=fill, **bar))
    view = f"0 0 {_WIDTH} {(group + 6) * len(classes)}"
    title = f"probabilities of {', '.join(classes)}"
    return tag("svg", *elements, viewBox=view, role="img", aria_label=title, font_size=11)


def _legend_entry(row: str, series: int) -> Markup:
    square = marker(1, 7, 7, 6, fill=series_color(series))
    return tag("span", tag("svg", square, viewBox="0 0 14 14", aria_hidden="true"), row)
