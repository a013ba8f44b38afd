"""An SVG figure, for a page or for a separate file."""

import re
from dataclasses import dataclass
from typing import Any

from kdrun.compare.report.markup import Markup, join, tag
from kdrun.compare.report.palette import LIGHT, color

WIDTH = 400  # of most figures, in SVG user units (about a pixel each)
_FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Figure:
    """An SVG figure with its title and note.

    Attributes:
        name: name of its file, without suffix.
        title: what the figure shows, in a few words.
        width: in SVG user units.
        height: in SVG user units.
        body: SVG elements; their colors are CSS variables named in the palette.
        note: text below the figure.
    """

    name: str
    title: str
    width: float
    height: float
    body: Markup
    note: str = ""

    def inline(self) -> Markup:
        """Return the figure as an element of a page, in the colors of the page's theme."""
        return self._svg(self.body)

    def standalone(self) -> str:
        """Return the text of an SVG file, in the colors of the light theme on white."""
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
