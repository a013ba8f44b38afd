"""The settings of a sweep: their table, what tests allow to say, and where they differ."""

from kdrun.compare.cells import (
    measured,
    telling,
    tested,
)
from kdrun.compare.comparison import Comparison, Family
from kdrun.compare.keys import said, short
from kdrun.compare.report.markup import tag
from kdrun.compare.report.page import Block, table
from kdrun.compare.report.tables import figures_table, folded, listed, quiet
from kdrun.compare.seed_means import Line
from kdrun.compare.terminal import in_short

_BELOW = " are below"


def settings_blocks(family: Family) -> list[Block]:
    """What may be said of a table's settings, the table, and the tests behind the sentences."""
    blocks: list[Block] = []
    told = [family.choice.sentence] if family.choice else []
    told += in_short(family.claims, _BELOW)
    if told:
        blocks.append(listed(told, "said"))
    first, figures = telling(family), measured(family)
    halves = (figures[: len(figures) // 2 + 1], figures[len(figures) // 2 + 1 :])
    for columns in halves:
        blocks.append(
            figures_table([*first, *columns], family.lines, lambda line: chosen(family, line))
        )
    if family.notes:
        blocks.append(listed(family.notes))
    if family.claims:
        blocks.append(folded("All tests", figures_table(tested(), family.claims)))
    return blocks


def difference_blocks(comparison: Comparison) -> list[Block]:
    """The keys that differ, and the values that each has; why tables are told apart."""
    blocks: list[Block] = []
    for family in comparison.families:
        if len(comparison.families) > 1:
            blocks.append(tag("h3", f"Table {family.number}: {len(family.settings)} settings"))
        if family.reasons:
            blocks.append(listed(family.reasons))
        rows = [
            tag(
                "tr",
                tag("td", tag("code", short(key)), class_="words key"),
                tag("td", ", ".join(_values(family, key)), class_="words"),
            )
            for key in family.differing
        ]
        if rows:
            blocks.append(table(("key that differs", "values"), rows, words=(0, 1)))
        else:
            blocks.append(quiet("One setting: its runs differ in nothing but the seed."))
    return blocks


def labels(family: Family) -> list[str]:
    """What tells each setting from the others, in the fewest words: temperature=4 alpha=0.5."""
    last = [short(key).rpartition(".")[2] for key in family.differing]
    words = {
        key: one if last.count(one) == 1 else short(key)
        for key, one in zip(family.differing, last, strict=True)
    }
    return [
        " ".join(f"{words[key]}={said(value)}" for key, value in setting.values.items())
        for setting in family.settings
    ]


def chosen(family: Family, line: Line) -> bool:
    """Whether a line is of the setting that validation chose, and of no other."""
    setting = family.choice.setting if family.choice else None
    return setting is not None and len(line.settings) == 1 and line.settings[0] is setting


def _values(family: Family, key: str) -> list[str]:
    found = [said(one.values[key]) if key in one.values else "-" for one in family.settings]
    return list(dict.fromkeys(found))
