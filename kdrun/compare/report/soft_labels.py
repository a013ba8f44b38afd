"""The soft labels section of a run's page: test samples with the predicted probabilities."""

import base64
from dataclasses import dataclass

import numpy as np

from kdrun.compare.report.elements import muted_text
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.palette import color, series_color
from kdrun.compare.report.png import png
from kdrun.compare.report.run_record import RunRecord
from kdrun.compare.report.shapes import LETTER, label, marker, shorten
from kdrun.core.folder import STUDENT_ROW

_SHOWN = ("teacher", "alone", STUDENT_ROW)  # rows whose probabilities are shown if they exist
_WIDTH = 250  # of the chart beside an image
_BAR_HEIGHT = 7
_MAX_NAME = 9  # longest class name, in letters
_SQUARE = 1  # number of the square among the marker shapes


@dataclass(frozen=True)
class _Examples:
    """The example samples of a run.

    Attributes:
        arrays: name -> array of the file examples.npz.
        classes: names of the classes.
        rows: row of the results table that is shown -> number of its color.
    """

    arrays: dict[str, np.ndarray]
    classes: list[str]
    rows: dict[str, int]

    def class_name(self, label: int) -> str:
        return self.classes[label] if label < len(self.classes) else str(label)


def soft_labels(record: RunRecord) -> Section:
    """Show samples, and the probabilities of their most likely classes."""
    if not record.rows:
        return Section("Soft labels", [])
    arrays = record.examples
    if arrays is None:
        return Section(
            "Soft labels", [muted_text("The kdrun version of this run did not save examples.")]
        )
    names = [row["model"] for row in record.rows]
    shown = [row for row in _SHOWN if row in names] or names[:3]
    examples = _Examples(arrays, record.class_names, {row: names.index(row) for row in shown})
    count, samples = len(arrays["target"]), "texts" if "texts" in arrays else "images"
    text = (
        f"The {count} test {samples} with the least confident predictions of {arrays['row']}, least"
        " confident first. A full bar is 100 %, at temperature 1; the true class is on top."
    )
    cards = [_card(examples, number) for number in range(count)]
    legend = tag(
        "div", *(_legend_entry(*entry) for entry in examples.rows.items()), class_="legend"
    )
    blocks: list[Block] = [muted_text(text), legend, tag("div", *cards, class_="examples")]
    return Section("Soft labels", blocks)


def _card(examples: _Examples, number: int) -> Markup:
    """Return a sample with its class, its index and its bars."""
    arrays = examples.arrays
    target = examples.class_name(int(arrays["target"][number]))
    index = tag("div", f"test {arrays['index'][number]}", class_="muted")
    caption = tag("div", tag("b", target), index)
    if "texts" in arrays:  # the direction of a text is its own, and no part of the page's
        text = tag("p", str(arrays["texts"][number]), dir="auto", class_="text")
        return tag("div", caption, text, _bars(examples, number), class_="example")
    head = tag("div", _image(arrays["images"][number], target), caption, class_="head")
    return tag("div", head, _bars(examples, number), class_="example")


def _image(pixels: np.ndarray, target: str) -> Markup:
    encoded = png(pixels if pixels.shape[2] in (1, 3) else pixels[..., :1])
    source = f"data:image/png;base64,{base64.b64encode(encoded).decode()}"
    return tag("img", src=source, alt=f"test image of class {target}")


def _bars(examples: _Examples, number: int) -> Markup:
    """Draw a bar for each model and each of the most likely classes of a sample."""
    classes = [examples.class_name(int(label)) for label in examples.arrays["classes"][number]]
    left = 8 + LETTER * max(len(shorten(name, _MAX_NAME)) for name in classes)
    group_height = _BAR_HEIGHT * len(examples.rows)  # of the bars of one class
    elements = []
    for position, name in enumerate(classes):
        top = position * (group_height + 6)
        text = shorten(name, _MAX_NAME)
        elements.append(label(left - 6, top + group_height / 2 + 4, text, "end", fill=color("ink")))
        background = {
            "x": left,
            "width": _WIDTH - left,
            "fill": color("grid"),
            "fill_opacity": "0.5",
        }
        elements.append(tag("rect", y=top, height=group_height - 1, **background))
        for bar_index, (row, color_number) in enumerate(examples.rows.items()):
            share = float(examples.arrays[f"{row}/probability"][number, position])
            tooltip = tag("title", f"{row}: {name} {100 * share:.1f} %")
            bar = {"x": left, "width": max(share * (_WIDTH - left), 0.6), "height": _BAR_HEIGHT - 1}
            fill = series_color(color_number)
            elements.append(tag("rect", tooltip, y=top + _BAR_HEIGHT * bar_index, fill=fill, **bar))
    view = f"0 0 {_WIDTH} {(group_height + 6) * len(classes)}"
    title = f"probabilities of {', '.join(classes)}"
    return tag("svg", *elements, viewBox=view, role="img", aria_label=title, font_size=11)


def _legend_entry(row: str, color_number: int) -> Markup:
    square = marker(_SQUARE, 7, 7, 6, fill=series_color(color_number))
    return tag("span", tag("svg", square, viewBox="0 0 14 14", aria_hidden="true"), row)
