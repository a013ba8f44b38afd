"""A comparison as tables that fit the terminal, and as sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from kdrun.compare.columns import Column, fits, tables_that_fit
from kdrun.compare.comparison import Comparison, ComparisonTable
from kdrun.compare.comparison_columns import (
    identifying_columns,
    marginal_columns,
    metric_columns,
)
from kdrun.compare.gather import LeftOut
from kdrun.compare.keys import short_key, value_text
from kdrun.compare.run_columns import MISSING
from kdrun.compare.seed_means import TableLine
from kdrun.compare.settings import Setting
from kdrun.compare.test_results import SignificanceTest
from kdrun.core.control_characters import one_line
from kdrun.core.number_format import many

_MAX_TESTS = 8  # tests of one kind that have a sentence each
_MAX_LEFT_OUT = 20  # names of runs that are left out
_MAX_NUMBERS = 4  # numbers of settings in a cell
_MAX_LINES = 60  # lines of a table


@dataclass(frozen=True)
class ComparisonView:
    """A comparison as rich shows it, with all of its tables."""

    comparison: Comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        for table in self.comparison.tables:
            yield Text(table_heading(table), style="bold")
            reasons = (one_line(reason) for reason in table.reasons)
            yield from (Text(f"Not comparable with table 1. {reason}") for reason in reasons)
            yield from _tables(table, width)
            if table.marginal:
                columns, lines = marginal_columns(table.marginal, table.metrics, table.metric)
                yield from tables_that_fit(columns[:1], columns[1:], lines, width)
            yield from (Text(sentence) for sentence in table_sentences(table))
            yield Text()
        yield from (Text(line) for line in left_out_lines(self.comparison.left_out))


def table_heading(table: ComparisonTable) -> str:
    """Return the title of a table: its dataset, and how many settings and runs it has."""
    settings = {id(setting): setting for line in table.lines for setting in line.settings}.values()
    runs = [run for setting in settings for run in setting.runs.values()]
    summary = runs[0].summary
    return one_line(
        f"Table {table.number}: {summary['dataset']}, test split of"
        f" {summary['samples']} samples; {many(len(settings), 'setting')},"
        f" {many(len(runs), 'run')}"
    )


def table_sentences(table: ComparisonTable) -> list[str]:
    """Return the sentences below a table: its choice, its tests, then its notes."""
    sentences = [table.choice.sentence] if table.choice else []
    sentences += result_sentences(table.results)
    if table.marginal:
        sentences += [table.marginal.sentence, *result_sentences(table.marginal.results)]
    return [one_line(sentence) for sentence in (*sentences, *table.notes)]


def result_sentences(
    results: Sequence[SignificanceTest], where: str = ": --markdown or --json"
) -> list[str]:
    """Return the sentences of significance tests.

    Of many tests of one kind, those without evidence are summed up in one sentence.

    Args:
        results: the tests of one table.
        where: where the user finds all results, as the end of a sentence.
    """
    sentences = []
    for about in dict.fromkeys(result.about for result in results):
        same_kind = [result for result in results if result.about == about]
        evidence = [result for result in same_kind if result.is_evidence]
        shown = same_kind if len(same_kind) <= _MAX_TESTS else evidence[:_MAX_TESTS]
        sentences += [result.sentence for result in shown]
        if len(shown) < len(same_kind):
            sentences.append(_summary(same_kind, len(evidence), len(shown), where))
    return sentences


def _summary(results: Sequence[SignificanceTest], evidence: int, shown: int, where: str) -> str:
    """Return a sentence on the tests that have no sentence of their own.

    Args:
        results: all tests of one kind.
        evidence: how many of them are evidence of a difference.
        shown: how many have a sentence.
        where: where the user finds all results, as the end of the sentence.
    """
    against = {result.right for result in results}
    tests = (
        f"{len(results)} tests {f'against {against.pop()}' if len(against) == 1 else 'of settings'}"
    )
    without_evidence = len(results) - evidence
    if not evidence:
        summary = f"None of {tests} found evidence of a difference"
    elif evidence > shown:
        summary = (
            f"{evidence - shown} more of {tests} found a difference, {without_evidence} did not"
        )
    else:
        summary = f"The other {without_evidence} of {tests} found no evidence of a difference"
    return f"{summary}; all of them{where}."


def left_out_lines(left_out: Sequence[LeftOut]) -> list[str]:
    """Return lines that name the runs that are left out."""
    if not left_out:
        return []
    lines = [one_line(f"  {run.path}: {run.reason}") for run in left_out[:_MAX_LEFT_OUT]]
    more = len(left_out) - _MAX_LEFT_OUT
    return [
        f"{many(len(left_out), 'run')} left out:",
        *lines,
        *([f"  and {more} more: --json names them"] if more > 0 else []),
    ]


def _tables(table: ComparisonTable, width: int) -> RenderResult:
    """Yield the table of lines.

    If the columns of its keys are too wide, they get a table of numbered settings above it.
    """
    first, columns = identifying_columns(table), metric_columns(table)
    lines = table.lines[:_MAX_LINES]
    if not fits(first, lines, width // 2):
        settings = [setting for setting in table.settings if _is_in(setting, lines)]
        numbers = {id(setting): str(number) for number, setting in enumerate(settings, 1)}
        keys = [_setting_column(key) for key in table.differing]
        number_column = Column("#", lambda setting: numbers[id(setting)])
        yield from tables_that_fit([number_column], keys, settings, width)
        first = [Column("#", lambda line: _numbers_text(line, numbers)), first[0]]
    yield from tables_that_fit(first, columns, lines, width)
    if len(table.lines) > _MAX_LINES:
        more = len(table.lines) - _MAX_LINES
        yield Text(
            f"and {more:,} more lines: --csv has all; --where and --sort choose those at the top"
        )


def _setting_column(key: str) -> Column:
    def text(setting: Setting) -> str:
        return value_text(setting.values[key]) if key in setting.values else MISSING

    return Column(short_key(key), text, is_text=True)


def _is_in(setting: Setting, lines: Sequence[TableLine]) -> bool:
    return any(setting is shown for line in lines for shown in line.settings)


def _numbers_text(line: TableLine, numbers: Mapping[int, str]) -> str:
    """Return the numbers of a line's settings; an empty text if all settings share the line.

    Args:
        line: the line.
        numbers: id of a setting -> its number.
    """
    shared = [numbers[id(setting)] for setting in line.settings if id(setting) in numbers]
    if len(shared) == len(numbers) > 1:
        return ""
    return ",".join(shared) if len(shared) <= _MAX_NUMBERS else f"{shared[0]}..{shared[-1]}"
