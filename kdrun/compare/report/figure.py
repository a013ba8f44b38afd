"""A drawing as SVG, which stands on a page or in a file of its own."""

import re
from dataclasses import dataclass
from typing import Any

from kdrun.compare.report.markup import Markup, join, tag
from kdrun.compare.report.palette import LIGHT, color

WIDTH = 400  # of most figures, in units of the drawing; about a pixel each
_FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Figure:
    """A drawing with its title and note.

    Attributes:
        name: of its file, without a suffix.
        title: what it shows, in a few words.
        width: in units of the drawing.
        height: in units of the drawing.
        body: SVG elements; colors are names of the palette.
        note: text below the drawing.
    """

    name: str
    title: str
    width: float
    height: float
    body: Markup
    note: str = ""

    def inline(self) -> Markup:
        """An element of a page, in the colors of the page's theme."""
        return self._svg(self.body)

    def standalone(self) -> str:
        """The text of an SVG file, in the colors of the light theme on white."""
        background = tag("rect", width="100%", height="100%", fill=color("card"))
        svg = self._svg(
            join([background, self.body]),
            xmlns="http://www.w3.org/2000/svg",
            width=self.width,
            height=self.height,
        )
        return re.sub(r"var\(--([\w-]+)\)", lambda match: LIGHT[match[1]], svg) + "\n"

    def _svg(self, body: Markup, **attributes: Any) -> Markup:
        return tag(
            "svg",
            tag("title", self.title),
            body,
            viewBox=f"0 0 {self.width:g} {self.height:g}",
            role="img",
            aria_label=self.title,
            font_family=_FONT,
            font_size=12,
            **attributes,
        )
