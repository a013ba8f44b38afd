"""Reads cards, which describe a component, from docstrings: kdrun's own and those of plugins.

The docstring has this format. Other sections and other text are ignored, and every section is
optional:

    Name: what it does, in one line.

    Formula:
        A line that is printed as it stands.
          A line that is indented further continues the line above.

    Paper:
        Authors, title, where and when it appeared, arXiv number, equation; or none.

    Needs:
        - An item, which may be continued on further lines.

    Notes:
        - An item.

The file of the class is parsed, not imported, so that `kdrun list losses` does not load torch.
"""

import ast
import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import InspectLoader
from importlib.util import find_spec

from kdrun.core.errors import UserError

_SECTION = re.compile(r"(\w+):")
_ARXIV = re.compile(r"arXiv:[0-9]+\.[0-9]+")


@dataclass(frozen=True)
class Card:
    """The description of a component that `kdrun show` prints.

    Attributes:
        title: the name, and what the component does.
        formula: lines of the formula.
        paper: the papers that introduce it; empty if there is none.
        needs: what networks, data and settings must provide.
        notes: what else a user should know.
    """

    title: str
    formula: tuple[str, ...]
    paper: str
    needs: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The title without its period, and the arXiv number of the first paper, if any."""
        number = _ARXIV.search(self.paper)
        return self.title.rstrip(".") + (f" ({number[0]})" if number else "")


def card_of(kind: str, name: str, target: str) -> Card:
    """Return the card of a component.

    Args:
        kind: kind of the component, such as `loss`, for error messages.
        name: name of the component on the command line.
        target: "module:class" of the component.

    Raises:
        UserError: there is no such class, or the class has no docstring.
    """
    try:
        docstring = _docstring(*target.split(":"))
    except (ImportError, AttributeError) as error:
        raise UserError(f"the {kind} {name!r} can't be loaded: {error}.") from error
    if not docstring:
        raise UserError(f"the {kind} {name!r} has no card: {target} has no docstring.")
    return parse_card(docstring)


def parse_card(docstring: str) -> Card:
    """Return the card in a docstring.

    Args:
        docstring: docstring of a class, with its common indentation already removed.
    """
    title, *lines = docstring.splitlines()
    sections: dict[str, list[str]] = {}
    section: list[str] = []
    for line in lines:
        if heading := _SECTION.fullmatch(line):
            section = sections.setdefault(heading[1], [])
        elif line.startswith("    "):
            section.append(line.removeprefix("    "))
    paper = " ".join(line.strip() for line in sections.get("Paper", []))
    needs, notes = (_items(sections.get(name, [])) for name in ("Needs", "Notes"))
    return Card(title, _join(sections.get("Formula", [])), paper, needs, notes)


def _items(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(item.removeprefix("- ") for item in _join(lines))


def _join(lines: Iterable[str]) -> tuple[str, ...]:
    """Join each line with the indented lines that continue it."""
    joined: list[str] = []
    for line in lines:
        if line.startswith(" ") and joined:
            joined[-1] += f" {line.strip()}"
        else:
            joined.append(line)
    return tuple(joined)


def _docstring(module: str, name: str) -> str:
    """Return the docstring of a class or function, or of the module of anything else.

    The module is imported only if its file does not define the class or function.
    """
    spec = find_spec(module)
    if spec is None or not isinstance(spec.loader, InspectLoader):
        raise ImportError(f"there is no source of module {module!r}")
    for node in ast.parse(spec.loader.get_source(module) or "").body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return ast.get_docstring(node) or ""
    component = getattr(import_module(module), name)
    described = inspect.isclass(component) or inspect.isroutine(component)
    return inspect.getdoc(component if described else import_module(module)) or ""
