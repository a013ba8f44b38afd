"""What `kdrun show loss=NAME` and `kdrun show scheme=NAME` tell: a part's card and its figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import yaml
from rich.box import SIMPLE_HEAD
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kdrun.config.choices import conf_folder
from kdrun.core.errors import UserError
from kdrun.core.screen import Screen
from kdrun.core.unknown import unknown_name
from kdrun.loss.table import LOSSES
from kdrun.scheme.table import SCHEMES

KINDS: dict[str, tuple[Mapping[str, str], str]] = {
    "loss": (LOSSES, "losses"),
    "scheme": (SCHEMES, "schemes"),
}
_PACKAGE = Path(__file__).resolve().parents[1]
_BESIDE = {"ce": "alone", "kd": "kd"}  # losses that every other is held against -> their heads


def is_part(word: str) -> bool:
    """Whether a word asks for a part, as `loss=kd` does."""
    kind, equals, _ = word.partition("=")
    return bool(equals) and kind in KINDS


def show_part(word: str, screen: Screen) -> None:
    """Tell of one loss or scheme.

    Args:
        word: KIND=NAME.
        screen: where to.

    Raises:
        UserError: there is no such part.
    """
    kind, _, name = word.partition("=")
    card = read_card(kind, name)
    screen.say(word, style="bold")
    _tell(screen, *card["formula"].splitlines())
    _section(screen, "paper")
    _tell(screen, card["paper"])
    _section(screen, "needs")
    _items(screen, card["needs"])
    _section(screen, f"defaults (conf/{kind}/{name}.yaml)")
    defaults = (conf_folder() / kind / f"{name}.yaml").read_text(encoding="utf-8")
    screen.say("\n".join(f"  {line}" for line in defaults.splitlines()))
    if kind == "loss":
        _figures(screen, name)
    _section(screen, "notes")
    _items(screen, card["notes"])
    if kind == "loss":
        _section(screen, "cost per step")
        _tell(screen, cost_line(name, _PACKAGE / "loss" / "cost.yaml"))


def read_card(kind: str, name: str) -> dict[str, Any]:
    """The card of a part: formula, paper, needs and notes.

    Raises:
        UserError: no part of the kind has that name, or it has no card, being a plugin's.
    """
    table, plural = KINDS[kind]
    if name not in table:
        raise unknown_name(kind, name, table, f"kdrun list {plural}")
    path = _PACKAGE / kind / "cards" / f"{name}.yaml"
    if not path.is_file():
        raise UserError(f"the {kind} {name!r} has no card; it is {table[name]}.")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def published() -> list[dict[str, Any]]:
    """The tables of published figures; kdrun/loss/published.yaml says what is in them."""
    path = _PACKAGE / "loss" / "published.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))["tables"]


def cost_line(name: str, path: Path) -> str:
    """What a step of the loss takes beside one of kd.

    Args:
        name: of the loss.
        path: the file of measured times; it may be missing.
    """
    known = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    times = known.get("milliseconds", {})
    if name not in times or "kd" not in times:
        return "not measured; measure it: python -m benchmarks.losses"
    own, base = times[name], times["kd"]
    ratio = f"{own / base:.3g} times kd's, of the loss alone"
    return f"{ratio}: {own:.3g} ms against {base:.3g} ms. {known['measured']}"


def _figures(screen: Screen, name: str) -> None:
    """Every published table that has the loss, beside teacher, student alone and kd."""
    _section(screen, "published figures, top-1 %")
    tables = [table for table in published() if _rows(table, name)]
    if not tables:
        _tell(screen, "none are kept here")
    for number, table in enumerate(tables):
        if number:
            screen.say("")
        screen.show(Padding(Text(table["title"], style="italic"), (0, 0, 0, 2)))
        screen.show(Padding(_beside(table, name), (0, 0, 0, 1)))
        told = [f"source: {table['source']}", f"recipe: {table['recipe']}", *table["notes"]]
        _items(screen, [*told, *filter(None, [table.get("remarks", {}).get(name)])])


def _rows(table: Mapping[str, Any], name: str) -> list[str]:
    """The rows of a loss: alone and with settings, as `lskd` and `lskd base=dkd`."""
    return [row for row in table["losses"] if row.partition(" ")[0] == name]


def _beside(table: Mapping[str, Any], name: str) -> Table:
    """A row a pair of networks; one column a loss."""
    losses = table["losses"]
    rows = dict.fromkeys([*(row for row in _BESIDE if row in losses), *_rows(table, name)])
    columns = {_BESIDE.get(row, row.replace(" ", "\n")): losses[row] for row in rows}
    if "teacher" in table:
        columns = {"teacher": table["teacher"], **columns}
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("teacher -> student")
    for head in columns:
        shown.add_column(Text(head), justify="right")
    for number, pair in enumerate(table["pairs"]):
        figures = (_figure(values[number]) for values in columns.values())
        shown.add_row(Text(" -> ".join(pair)), *figures)
    return shown


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _section(screen: Screen, title: str) -> None:
    screen.say("")
    screen.say(title, style="bold")


def _tell(screen: Screen, *texts: str, sign: str = "  ") -> None:
    """Paragraphs as wide as the terminal; what is folded stands further in."""
    width, further = screen.console.width, " " * max(4, len(sign))
    for text in texts:
        folded = fill(
            text, width, initial_indent=sign, subsequent_indent=further, break_on_hyphens=False
        )
        screen.say(folded)


def _items(screen: Screen, texts: Sequence[str]) -> None:
    _tell(screen, *texts, sign="  - ")
