"""A report as one HTML file, which loads nothing from the network."""

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
        title: its heading; the page's list of sections links to it.
        blocks: elements and figures; consecutive figures stand side by side.
    """

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        title: its heading.
        head: elements below the heading.
        sections: those without blocks are left out.
    """

    title: str
    head: Sequence[Markup]
    sections: Sequence[Section]

    def figures(self) -> Iterator[Figure]:
        """All figures, in order."""
        for section in self.sections:
            yield from (block for block in section.blocks if isinstance(block, Figure))

    def html(self) -> str:
        """The text of the file."""
        script, style = Markup(_read("page.js")), _style()
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
            tag("style", style),
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
    """`element`, or the CSS class of a group of figures."""
    if isinstance(block, Markup):
        return "element"
    return "figures" if block.width >= WIDTH else "figures small"


def _figure(figure: Figure) -> Markup:
    note = tag("figcaption", figure.note) if figure.note else None
    return tag("figure", tag("h3", figure.title), figure.inline(), note)


def _link(section: Section) -> Markup:
    return tag("a", section.title, href=f"#{_anchor(section)}")


def _anchor(section: Section) -> str:
    """The section's id in links: its title in lower case, joined by hyphens."""
    return "-".join("".join(c if c.isalnum() else " " for c in section.title.lower()).split())


def _style() -> Markup:
    """CSS of both themes: the system chooses one, and the reader may choose the other."""
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
    """A policy that forbids requests, and every script but ours, even if a name contains one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline';"
        f" script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
