"""`kdrun show KIND=NAME`: the card (description) of a component and its settings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import yaml
from rich.box import SIMPLE_HEAD
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kdrun.cli.card_docstring import Card, card_of
from kdrun.config.choices import conf_folder, plugin_node
from kdrun.core.plugins import KINDS, table_of
from kdrun.core.screen import Screen
from kdrun.core.unknown import unknown_name

_PACKAGE = Path(__file__).resolve().parents[1]
_REFERENCES = {"ce": "alone", "kd": "kd"}  # losses that every published table shows -> column title


def names_card(word: str) -> bool:
    """Return whether a word names a card, such as `loss=kd`."""
    kind, equals, _ = word.partition("=")
    return bool(equals) and kind in KINDS


def show_card(word: str, screen: Screen) -> None:
    """Print the card of a component, its default settings and, of a loss, published results.

    Args:
        word: KIND=NAME.
        screen: where the card is printed.

    Raises:
        UserError: no component of the kind has this name.
    """
    kind, _, name = word.partition("=")
    card = read_card(kind, name)
    screen.say(word, style="bold")
    _print_paragraphs(screen, [card.title])
    _print_section(screen, "formula", card.formula)
    _print_section(screen, "paper", [card.paper] if card.paper else [])
    _print_section(screen, "needs", card.needs, bullet="  - ")
    _print_defaults(screen, kind, name)
    if kind == "loss":
        _print_published(screen, name)
    _print_section(screen, "notes", card.notes, bullet="  - ")
    if kind == "loss":
        _print_heading(screen, "cost per step")
        _print_paragraphs(screen, [cost_line(name, _PACKAGE / "loss" / "cost.yaml")])


def read_card(kind: str, name: str) -> Card:
    """Return the card of a component.

    Raises:
        UserError: no component of the kind has this name, or it has no docstring.
    """
    table, plural = table_of(kind), KINDS[kind].plural
    if name not in table:
        raise unknown_name(kind, name, table, f"kdrun list {plural}" if plural else "")
    return card_of(kind, name, table[name])


def published() -> list[dict[str, Any]]:
    """Return the tables of published accuracies; kdrun/loss/published.yaml describes their keys."""
    path = _PACKAGE / "loss" / "published.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))["tables"]


def cost_line(name: str, path: Path) -> str:
    """Return a sentence that compares the time of a loss in a training step with the loss kd.

    Args:
        name: name of the loss.
        path: file with measured times in milliseconds; it may be missing.
    """
    measurements = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    times = measurements.get("milliseconds", {})
    if name not in times or "kd" not in times:
        return "not measured; measure it: python -m benchmarks.losses"
    time, kd = times[name], times["kd"]
    ratio = f"{time / kd:.3g} times the time of kd, without the networks"
    return f"{ratio}: {time:.3g} ms against {kd:.3g} ms. {measurements['measured']}"


def _print_defaults(screen: Screen, kind: str, name: str) -> None:
    """Print the default settings: the YAML file, or the signature if a plugin has no file."""
    folder = KINDS[kind].group
    if not folder:
        return
    path = conf_folder() / folder / f"{name}.yaml"
    if path.is_file():
        source, text = f"conf/{folder}/{name}.yaml", path.read_text(encoding="utf-8")
    else:
        node = plugin_node(kind, name)
        source, text = table_of(kind)[name], yaml.safe_dump(node, sort_keys=False)
    _print_heading(screen, f"defaults ({source})")
    screen.say("\n".join(f"  {line}" for line in text.splitlines()))


def _print_published(screen: Screen, name: str) -> None:
    """Print every published table that contains the loss."""
    _print_heading(screen, "published figures, top-1 %")
    tables = [table for table in published() if _columns_of(table, name)]
    if not tables:
        _print_paragraphs(screen, ["none are kept here"])
    for number, table in enumerate(tables):
        if number:
            screen.say("")
        screen.show(Padding(Text(table["title"], style="italic"), (0, 0, 0, 2)))
        screen.show(Padding(_published_table(table, name), (0, 0, 0, 1)))
        notes = [f"source: {table['source']}", f"recipe: {table['recipe']}", *table["notes"]]
        _print_items(screen, [*notes, *filter(None, [table.get("remarks", {}).get(name)])])


def _columns_of(table: Mapping[str, Any], name: str) -> list[str]:
    """Return the columns of a loss: its name, or name and settings, such as `lskd base=dkd`."""
    return [column for column in table["losses"] if column.partition(" ")[0] == name]


def _published_table(table: Mapping[str, Any], name: str) -> Table:
    """Return a table: rows are pairs of networks; columns are teacher, alone, kd and the loss."""
    losses = table["losses"]
    references = [column for column in _REFERENCES if column in losses]
    columns = dict.fromkeys([*references, *_columns_of(table, name)])
    accuracies = {
        _REFERENCES.get(column, column.replace(" ", "\n")): losses[column] for column in columns
    }
    if "teacher" in table:
        accuracies = {"teacher": table["teacher"], **accuracies}
    rich_table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    rich_table.add_column("teacher -> student")
    for title in accuracies:
        rich_table.add_column(Text(title), justify="right")
    for number, pair in enumerate(table["pairs"]):
        cells = (_percent(values[number]) for values in accuracies.values())
        rich_table.add_row(Text(" -> ".join(pair)), *cells)
    return rich_table


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _print_heading(screen: Screen, title: str) -> None:
    screen.say("")
    screen.say(title, style="bold")


def _print_section(screen: Screen, title: str, texts: Sequence[str], bullet: str = "  ") -> None:
    """Print a heading and texts, unless there is no text."""
    if texts:
        _print_heading(screen, title)
        _print_paragraphs(screen, texts, bullet)


def _print_paragraphs(screen: Screen, texts: Sequence[str], bullet: str = "  ") -> None:
    """Print texts as wide as the terminal, with a hanging indent."""
    width, indent = screen.console.width, " " * max(4, len(bullet))
    for text in texts:
        folded = fill(
            text, width, initial_indent=bullet, subsequent_indent=indent, break_on_hyphens=False
        )
        screen.say(folded)


def _print_items(screen: Screen, texts: Sequence[str]) -> None:
    _print_paragraphs(screen, texts, bullet="  - ")
