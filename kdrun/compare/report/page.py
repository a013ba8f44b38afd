"""The page around the sections: one file that asks nothing of any server."""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from kdrun import __version__
from kdrun.compare.report.drawing import WIDTH, Figure
from kdrun.compare.report.markup import Markup, join, tag
from kdrun.compare.report.palette import DARK, LIGHT, style_of

Block = Markup | Figure


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: its heading, which the page's list of parts leads to.
        blocks: elements and figures; figures that follow each other stand side by side.
    """

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        title: its heading.
        head: elements below the heading.
        sections: its parts; those without blocks are left out.
    """

    title: str
    head: Sequence[Markup]
    sections: Sequence[Section]

    def figures(self) -> Iterator[Figure]:
        """All figures, in order."""
        for section in self.sections:
            yield from (block for block in section.blocks if isinstance(block, Figure))

    def html(self) -> str:
        """The whole file."""
        script, style = Markup(_beside("page.js")), _style()
        filled = [section for section in self.sections if section.blocks]
        body = [
            tag("header", tag("h1", self.title), *self.head),
            tag("button", "Theme", class_="theme", type="button"),
            tag("nav", *(tag("a", one.title, href=f"#{_anchor(one)}") for one in filled)),
            tag("main", *(_section(section) for section in filled)),
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


def table(heads: Sequence[str], rows: Iterable[Markup], words: Sequence[int] = (0,)) -> Markup:
    """A table that is sorted by a click on a column's name.

    Args:
        heads: names of the columns.
        rows: `tr` elements.
        words: the columns that hold words rather than numbers.
    """
    names = [
        tag(
            "th",
            tag("button", name, type="button"),
            scope="col",
            class_="words" if number in words else None,
        )
        for number, name in enumerate(heads)
    ]
    whole = tag("table", tag("thead", tag("tr", *names)), tag("tbody", *rows), class_="sortable")
    return tag("div", whole, class_="scroll", tabindex=0)


def _section(section: Section) -> Markup:
    parts: list[Markup] = [tag("h2", section.title, id=_anchor(section))]
    for kind, blocks in groupby(section.blocks, key=_kind):
        if kind == "element":
            parts += [block for block in blocks if isinstance(block, Markup)]
        else:
            shown = [_shown(block) for block in blocks if isinstance(block, Figure)]
            parts.append(tag("div", *shown, class_=kind))
    return tag("section", *parts)


def _kind(block: Block) -> str:
    if isinstance(block, Markup):
        return "element"
    return "figures" if block.width >= WIDTH else "figures small"


def _shown(figure: Figure) -> Markup:
    note = tag("figcaption", figure.note) if figure.note else None
    return tag("figure", tag("h3", figure.title), figure.inline(), note)


def _anchor(section: Section) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in section.title.lower()).split())


def _style() -> Markup:
    """Light, dark where the system or the reader wants that."""
    light, dark = style_of(LIGHT), style_of(DARK)
    return join(
        [
            Markup(f":root{{{light}}}"),
            Markup(f"@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"),
            Markup(f":root[data-theme=light]{{color-scheme:light;{light}}}"),
            Markup(f":root[data-theme=dark]{{color-scheme:dark;{dark}}}"),
            Markup(_beside("page.css")),
        ]
    )


def _policy(script: str) -> str:
    """No requests, and no script but ours: what slipped into a page could not run."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline';"
        f" script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _beside(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
