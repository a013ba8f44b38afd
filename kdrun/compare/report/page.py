"""A report as one HTML file, which loads nothing from the Internet."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from kdrun import __version__
from kdrun.compare.report.figure import WIDTH, Figure
from kdrun.compare.report.markup import Markup, join, tag
from kdrun.compare.report.palette import DARK, LIGHT, style_of

Block = Markup | Figure


@dataclass(frozen=True)
class Section:
    """A section of a page.

    Attributes:
        title: heading of the section; the navigation of the page links to it.
        blocks: elements and figures; consecutive figures are side by side.
    """

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        title: heading of the page.
        head: elements below the heading.
        sections: sections of the page; sections without blocks are skipped.
    """

    title: str
    head: Sequence[Markup]
    sections: Sequence[Section]

    def figures(self) -> Iterator[Figure]:
        """Yield all figures, in order."""
        for section in self.sections:
            yield from (block for block in section.blocks if isinstance(block, Figure))

    def html(self) -> str:
        """Return the text of the HTML file."""
        script = Markup(_read("page.js"))
        sections = [section for section in self.sections if section.blocks]
        body = [
            tag("header", tag("h1", self.title), *self.head),
            tag("button", "Theme", class_="theme", type="button"),
            tag("nav", *(_link(section) for section in sections)),
            tag("main", *(_section(section) for section in sections)),
            tag("footer", f"Written by kdrun {__version__}."),
        ]
        head = [
            tag("meta", charset="utf-8"),
            tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
            tag("link", rel="icon", href="data:,"),
            tag("title", f"{self.title} · kdrun"),
            tag("style", _style()),
        ]
        page = tag(
            "html",
            tag("head", *head),
            tag("body", tag("div", *body, class_="wrap"), tag("script", script)),
            lang="en",
        )
        return f"<!doctype html>\n{page}\n"


def _section(section: Section) -> Markup:
    elements: list[Markup] = [tag("h2", section.title, id=_anchor(section))]
    for kind, blocks in groupby(section.blocks, key=_kind):
        if kind == "element":
            elements += [block for block in blocks if isinstance(block, Markup)]
        else:
            figures = [_figure(block) for block in blocks if isinstance(block, Figure)]
            elements.append(tag("div", *figures, class_=kind))
    return tag("section", *elements)


def _kind(block: Block) -> str:
    """Return `element`, or the CSS class of the group of figures that a figure belongs to."""
    if isinstance(block, Markup):
        return "element"
    return "figures" if block.width >= WIDTH else "figures small"


def _figure(figure: Figure) -> Markup:
    note = tag("figcaption", figure.note) if figure.note else None
    return tag("figure", tag("h3", figure.title), figure.inline(), note)


def _link(section: Section) -> Markup:
    return tag("a", section.title, href=f"#{_anchor(section)}")


def _anchor(section: Section) -> str:
    """Return the id of a section for links: its title in lower case, joined by hyphens."""
    return "-".join("".join(c if c.isalnum() else " " for c in section.title.lower()).split())


def _style() -> Markup:
    """Return the CSS of both themes; the system selects a theme, and the reader can switch."""
    light, dark = style_of(LIGHT), style_of(DARK)
    return join(
        [
            Markup(f":root{{{light}}}"),
            Markup(f"@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"),
            Markup(f":root[data-theme=light]{{color-scheme:light;{light}}}"),
            Markup(f":root[data-theme=dark]{{color-scheme:dark;{dark}}}"),
            Markup(_read("page.css")),
        ]
    )


def _policy(script: str) -> str:
    """Return a policy that forbids requests, and all scripts except the given one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline';"
        f" script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
