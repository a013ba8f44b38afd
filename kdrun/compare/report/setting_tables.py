"""Tables of a sweep's page: settings, significance tests of their differences, varying keys."""

from kdrun.compare.comparison import Comparison, ComparisonTable
from kdrun.compare.comparison_columns import (
    identifying_columns,
    metric_columns,
    significance_columns,
)
from kdrun.compare.keys import short_key, value_text
from kdrun.compare.report.elements import bullets, folded, muted_text
from kdrun.compare.report.markup import tag
from kdrun.compare.report.page import Block
from kdrun.compare.report.tables import figures_table, html_table
from kdrun.compare.seed_means import TableLine
from kdrun.compare.terminal import result_sentences

_ALL_TESTS = " are below"  # end of a sentence that starts with "all tests"


def settings_blocks(table: ComparisonTable) -> list[Block]:
    """Return the conclusions of a table of settings, the table in two halves, and all tests."""
    blocks: list[Block] = []
    conclusions = [table.choice.sentence] if table.choice else []
    conclusions += result_sentences(table.results, _ALL_TESTS)
    if conclusions:
        blocks.append(bullets(conclusions, "conclusions"))
    first, figures = identifying_columns(table), metric_columns(table)
    halves = (figures[: len(figures) // 2 + 1], figures[len(figures) // 2 + 1 :])
    for columns in halves:
        blocks.append(
            figures_table([*first, *columns], table.lines, lambda line: is_chosen(table, line))
        )
    if table.notes:
        blocks.append(bullets(table.notes))
    if table.results:
        blocks.append(folded("All tests", figures_table(significance_columns(), table.results)))
    return blocks


def difference_blocks(comparison: Comparison) -> list[Block]:
    """Return the varying keys with their values, and why the settings need several tables."""
    blocks: list[Block] = []
    for table in comparison.tables:
        if len(comparison.tables) > 1:
            blocks.append(tag("h3", f"Table {table.number}: {len(table.settings)} settings"))
        if table.reasons:
            blocks.append(bullets(table.reasons))
        rows = [
            tag(
                "tr",
                tag("td", tag("code", short_key(key)), class_="words key"),
                tag("td", ", ".join(_values_of(table, key)), class_="words"),
            )
            for key in table.differing
        ]
        if rows:
            blocks.append(html_table(("key that differs", "values"), rows, texts=(0, 1)))
        else:
            blocks.append(muted_text("One setting: its runs differ only in the seed."))
    return blocks


def setting_names(table: ComparisonTable) -> list[str]:
    """Return a short name for each setting: its varying keys, as in temperature=4 alpha=0.5."""
    last_parts = [short_key(key).rpartition(".")[2] for key in table.differing]
    names = {
        key: name if last_parts.count(name) == 1 else short_key(key)
        for key, name in zip(table.differing, last_parts, strict=True)
    }
    return [
        " ".join(f"{names[key]}={value_text(value)}" for key, value in setting.values.items())
        for setting in table.settings
    ]


def is_chosen(table: ComparisonTable, line: TableLine) -> bool:
    """Return whether a line belongs to the setting that validation chose, and to no other."""
    setting = table.choice.setting if table.choice else None
    return setting is not None and len(line.settings) == 1 and line.settings[0] is setting


def _values_of(table: ComparisonTable, key: str) -> list[str]:
    """Return the different values of a key as text; `-` stands for settings without the key."""
    settings = [setting.values for setting in table.settings]
    values = [value_text(setting[key]) if key in setting else "-" for setting in settings]
    return list(dict.fromkeys(values))
