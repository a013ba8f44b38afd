"""A few test images with what each model makes of them."""

import base64
import struct
import zlib

import numpy as np

from kdrun.compare.report.drawing import LETTER, label, shape, shortened
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.palette import color, series_color
from kdrun.compare.report.run_record import Record
from kdrun.compare.report.tables import quiet

_ROWS = ("teacher", "alone", "distilled")
_BAR, _NAME, _WIDTH = 7, 9, 250


def soft_labels(record: Record) -> Section:
    """Images, and the probabilities of their likeliest classes."""
    if not record.rows:
        return Section("Soft labels", [])
    found = record.examples
    if found is None:
        return Section("Soft labels", [quiet("This run's kdrun kept no examples.")])
    names = [row["model"] for row in record.rows]
    rows = [row for row in _ROWS if row in names] or names[:3]
    chooser = str(found["row"])
    told = (
        f"The {len(found['target'])} test images of whose class {chooser} is least sure, the least"
        " sure first; a full bar is 100 %, at temperature 1; the true class is on top."
    )
    cards = [_card(record, found, number, rows) for number in range(len(found["target"]))]
    legend = tag("div", *(_key(row, names.index(row)) for row in rows), class_="legend")
    blocks: list[Block] = [quiet(told), legend, tag("div", *cards, class_="examples")]
    return Section("Soft labels", blocks)


def png(pixels: np.ndarray) -> bytes:
    """(H, W, C) uint8 with 1 or 3 channels as a PNG file."""
    height, width, channels = pixels.shape
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    kind = {1: 0, 3: 2}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _card(record: Record, found: dict[str, np.ndarray], number: int, rows: list[str]) -> Markup:
    pixels = found["images"][number]
    data = base64.b64encode(png(pixels if pixels.shape[2] in (1, 3) else pixels[..., :1])).decode()
    truth = _name(record, int(found["target"][number]))
    image = tag("img", src=f"data:image/png;base64,{data}", alt=f"test image of class {truth}")
    words = tag(
        "div", tag("b", truth), tag("div", f"test {found['index'][number]}", class_="quiet")
    )
    head = tag("div", image, words, class_="head")
    return tag("div", head, _bars(record, found, number, rows), class_="example")


def _bars(record: Record, found: dict[str, np.ndarray], number: int, rows: list[str]) -> Markup:
    classes = [_name(record, int(label)) for label in found["classes"][number]]
    names = [row["model"] for row in record.rows]
    left = 8 + LETTER * max(len(shortened(name, _NAME)) for name in classes)
    tall = _BAR * len(rows) + 6
    parts = []
    for at, name in enumerate(classes):
        y = at * tall
        middle = y + _BAR * len(rows) / 2 + 4
        parts.append(label(left - 6, middle, shortened(name, _NAME), "end", fill=color("ink")))
        field = {"x": left, "width": _WIDTH - left, "fill": color("grid"), "fill_opacity": "0.5"}
        parts.append(tag("rect", y=y, height=_BAR * len(rows) - 1, **field))
        for place, row in enumerate(rows):
            share = float(found[f"{row}/probability"][number, at])
            told = tag("title", f"{row}: {name} {100 * share:.1f} %")
            bar = {"x": left, "width": max(share * (_WIDTH - left), 0.6), "height": _BAR - 1}
            fill = series_color(names.index(row))
            parts.append(tag("rect", told, y=y + _BAR * place, fill=fill, **bar))
    view = f"0 0 {_WIDTH} {tall * len(classes)}"
    named = f"probabilities of {', '.join(classes)}"
    return tag("svg", *parts, viewBox=view, role="img", aria_label=named, font_size=11)


def _key(row: str, number: int) -> Markup:
    mark = shape(1, 7, 7, 6, fill=series_color(number))
    return tag("span", tag("svg", mark, viewBox="0 0 14 14", aria_hidden="true"), row)


def _name(record: Record, number: int) -> str:
    return record.classes[number] if number < len(record.classes) else str(number)
