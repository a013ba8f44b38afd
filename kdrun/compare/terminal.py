"""A comparison on the terminal: tables that fit it, and sentences."""

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
from kdrun.core.number_format import many

_MAX_TESTS = 8  # of a kind, that have a sentence each
_MAX_LEFT_OUT = 20  # runs that are named
_MAX_NUMBERS = 4  # of settings, in a cell
_MAX_LINES = 60  # of a table


@dataclass(frozen=True)
class ComparisonView:
    """A comparison as rich shows it, with all of its tables."""

    comparison: Comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for family in self.comparison.families:
            yield Text(table_heading(family), style="bold")
            yield from (Text(f"Not comparable with table 1. {one}") for one in family.reasons)
            yield from _tables(family, options.max_width)
            if family.marginal:
                columns, rows = marginal_columns(family.marginal, family.metric)
                yield from tables_that_fit(columns[:1], columns[1:], rows, options.max_width)
            yield from (Text(sentence) for sentence in table_sentences(family))
            yield Text()
        yield from (Text(line) for line in left_out_lines(self.comparison.left_out))


def table_heading(family: ComparisonTable) -> str:
    """Return the title of a table: its dataset, and how many settings and runs it has."""
    settings = {id(one): one for line in family.lines for one in line.settings}.values()
    runs = [run for setting in settings for run in setting.runs.values()]
    summary = runs[0].summary
    return (
        f"Table {family.number}: {summary.get('dataset', '')}, test split of"
        f" {summary.get('samples', '?')} samples; {many(len(settings), 'setting')},"
        f" {many(len(runs), 'run')}"
    )


def table_sentences(family: ComparisonTable) -> list[str]:
    """Return the sentences below a table: its choice, its tests, then its notes."""
    lines = [family.choice.sentence] if family.choice else []
    lines += result_sentences(family.results)
    if family.marginal:
        lines += [family.marginal.sentence, *result_sentences(family.marginal.results)]
    return [*lines, *family.notes]


def result_sentences(
    results: Sequence[SignificanceTest], where: str = ": --markdown or --json"
) -> list[str]:
    """Return the sentences of significance tests.

    Of many tests of one kind, those without evidence are summed up in one sentence.

    Args:
        results: of one table.
        where: where all results are, as the end of a sentence.
    """
    sentences = []
    for about in dict.fromkeys(result.about for result in results):
        same_kind = [result for result in results if result.about == about]
        found = [result for result in same_kind if result.found]
        shown = same_kind if len(same_kind) <= _MAX_TESTS else found[:_MAX_TESTS]
        sentences += [result.sentence for result in shown]
        if len(shown) < len(same_kind):
            sentences.append(_rest(same_kind, len(found), len(shown), where))
    return sentences


def _rest(results: Sequence[SignificanceTest], found: int, shown: int, where: str) -> str:
    against = {result.right for result in results}
    tests = (
        f"{len(results)} tests {f'against {against.pop()}' if len(against) == 1 else 'of settings'}"
    )
    if not found:
        summary = f"None of {tests} found evidence of a difference"
    elif found > shown:
        summary = (
            f"{found - shown} more of {tests} found a difference, {len(results) - found} did not"
        )
    else:
        summary = f"The other {len(results) - found} of {tests} found no evidence of a difference"
    return f"{summary}; all of them{where}."


def left_out_lines(left_out: Sequence[LeftOut]) -> list[str]:
    """Return lines that name the runs that are left out."""
    if not left_out:
        return []
    lines = [f"  {one.path}: {one.reason}" for one in left_out[:_MAX_LEFT_OUT]]
    more = len(left_out) - _MAX_LEFT_OUT
    return [
        f"{many(len(left_out), 'run')} left out:",
        *lines,
        *([f"  and {more} more: --json names them"] if more > 0 else []),
    ]


def _tables(family: ComparisonTable, width: int) -> RenderResult:
    """Yield the table of lines; if its keys are too wide, settings are numbered beforehand."""
    first, columns, lines = (
        identifying_columns(family),
        metric_columns(family),
        family.lines[:_MAX_LINES],
    )
    if not fits(first, lines, width // 2):
        settings = [one for one in family.settings if _is_in(one, lines)]
        number = {id(one): str(at) for at, one in enumerate(settings, 1)}
        keys = [_of_setting(key) for key in family.differing]
        mark = Column("#", lambda setting: number[id(setting)])
        yield from tables_that_fit([mark], keys, settings, width)
        first = [Column("#", lambda line: _number(line, number)), first[0]]
    yield from tables_that_fit(first, columns, lines, width)
    if len(family.lines) > _MAX_LINES:
        more = len(family.lines) - _MAX_LINES
        yield Text(f"and {more:,} more lines: --csv has all, --where and --sort other ones first")


def _of_setting(key: str) -> Column:
    def text(setting: Setting) -> str:
        return value_text(setting.values[key]) if key in setting.values else MISSING

    return Column(short_key(key), text, words=True)


def _is_in(setting: Setting, lines: Sequence[TableLine]) -> bool:
    return any(setting is one for line in lines for one in line.settings)


def _number(line: TableLine, number: Mapping[int, str]) -> str:
    """Return the numbers of a line's settings; an empty text where the line is of all."""
    own = [number[id(one)] for one in line.settings if id(one) in number]
    if len(own) == len(number) > 1:
        return ""
    return ",".join(own) if len(own) <= _MAX_NUMBERS else f"{own[0]}..{own[-1]}"
