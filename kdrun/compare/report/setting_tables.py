"""The settings of a sweep: their tables, the tests of their differences, the keys that vary."""

from kdrun.compare.comparison import Comparison, ComparisonTable
from kdrun.compare.comparison_columns import (
    identifying_columns,
    metric_columns,
    significance_columns,
)
from kdrun.compare.keys import short_key, value_text
from kdrun.compare.report.elements import bullets, folded, quiet
from kdrun.compare.report.markup import tag
from kdrun.compare.report.page import Block
from kdrun.compare.report.tables import figures_table, html_table
from kdrun.compare.seed_means import TableLine
from kdrun.compare.terminal import result_sentences

_ALL_TESTS = " are below"  # where all tests are, as the end of a sentence


def settings_blocks(family: ComparisonTable) -> list[Block]:
    """The conclusions on a table's settings, the table in two halves, and all tests."""
    blocks: list[Block] = []
    conclusions = [family.choice.sentence] if family.choice else []
    conclusions += result_sentences(family.results, _ALL_TESTS)
    if conclusions:
        blocks.append(bullets(conclusions, "conclusions"))
    first, figures = identifying_columns(family), metric_columns(family)
    halves = (figures[: len(figures) // 2 + 1], figures[len(figures) // 2 + 1 :])
    for columns in halves:
        blocks.append(
            figures_table([*first, *columns], family.lines, lambda line: is_chosen(family, line))
        )
    if family.notes:
        blocks.append(bullets(family.notes))
    if family.results:
        blocks.append(folded("All tests", figures_table(significance_columns(), family.results)))
    return blocks


def difference_blocks(comparison: Comparison) -> list[Block]:
    """The keys that vary with their values, and why the settings are in several tables."""
    blocks: list[Block] = []
    for family in comparison.families:
        if len(comparison.families) > 1:
            blocks.append(tag("h3", f"Table {family.number}: {len(family.settings)} settings"))
        if family.reasons:
            blocks.append(bullets(family.reasons))
        rows = [
            tag(
                "tr",
                tag("td", tag("code", short_key(key)), class_="words key"),
                tag("td", ", ".join(_values_of(family, key)), class_="words"),
            )
            for key in family.differing
        ]
        if rows:
            blocks.append(html_table(("key that differs", "values"), rows, texts=(0, 1)))
        else:
            blocks.append(quiet("One setting: its runs differ in nothing but the seed."))
    return blocks


def setting_names(family: ComparisonTable) -> list[str]:
    """Each setting's values of the keys that vary, in short: temperature=4 alpha=0.5."""
    last = [short_key(key).rpartition(".")[2] for key in family.differing]
    names = {
        key: name if last.count(name) == 1 else short_key(key)
        for key, name in zip(family.differing, last, strict=True)
    }
    return [
        " ".join(f"{names[key]}={value_text(value)}" for key, value in setting.values.items())
        for setting in family.settings
    ]


def is_chosen(family: ComparisonTable, line: TableLine) -> bool:
    """Whether a line is a model of the setting that validation chose, and of no other setting."""
    setting = family.choice.setting if family.choice else None
    return setting is not None and len(line.settings) == 1 and line.settings[0] is setting


def _values_of(family: ComparisonTable, key: str) -> list[str]:
    """The values of a key, as they are typed; `-` for settings without it."""
    values = [value_text(one.values[key]) if key in one.values else "-" for one in family.settings]
    return list(dict.fromkeys(values))
