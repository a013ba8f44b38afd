"""A comparison as Markdown and as LaTeX."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from kdrun.compare.columns import Column
from kdrun.compare.comparison import Comparison
from kdrun.compare.comparison_columns import (
    identifying_columns,
    marginal_columns,
    metric_columns,
    significance_columns,
)
from kdrun.compare.terminal import left_out_lines, table_heading, table_sentences

_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "[": "{[}", "]": "{]}",  # at the start of a line, LaTeX reads [ as an option of the line before
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip


def as_markdown(comparison: Comparison) -> str:
    return _document(comparison, "## {}", "- {}", _markdown_table, _in_markdown)


def as_latex(comparison: Comparison) -> str:
    """Return tables that need no LaTeX package, and sentences as paragraphs."""
    return _document(comparison, "\\subsection*{{{}}}", "{}\n", _latex_table, _in_latex)


_ToTable = Callable[[Sequence[Column], Sequence[Any]], list[str]]


def _document(
    comparison: Comparison,
    heading: str,
    item: str,
    to_table: _ToTable,
    escape: Callable[[str], str],
) -> str:
    """Return a comparison as a document.

    Args:
        comparison: the comparison.
        heading: the format string of a heading.
        item: the format string of a sentence.
        to_table: returns the text lines of a table.
        escape: escapes special characters.
    """
    lines: list[str] = []
    for comparison_table in comparison.tables:
        lines += [heading.format(escape(table_heading(comparison_table))), ""]
        reasons = [f"Not comparable with table 1. {reason}" for reason in comparison_table.reasons]
        lines += [*(item.format(escape(reason)) for reason in reasons), ""] if reasons else []
        columns = [*identifying_columns(comparison_table), *metric_columns(comparison_table)]
        lines += [*to_table(columns, comparison_table.lines), ""]
        tests = [*comparison_table.results]
        if marginal := comparison_table.marginal:
            lines += [
                *to_table(
                    *marginal_columns(marginal, comparison_table.metrics, comparison_table.metric)
                ),
                "",
            ]
            tests += marginal.results
        if tests:
            lines += [*to_table(significance_columns(), tests), ""]
        sentences = table_sentences(comparison_table)
        lines += [*(item.format(escape(sentence)) for sentence in sentences), ""]
    lines += [item.format(escape(line.strip())) for line in left_out_lines(comparison.left_out)]
    return "\n".join(lines).rstrip("\n")


def _markdown_table(columns: Sequence[Column], rows: Sequence[Any]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    return [
        line([_in_markdown(column.one_line_title) for column in columns]),
        line(["---" if column.is_text else "---:" for column in columns]),
        *(line([_in_markdown(column.text(row)) for column in columns]) for row in rows),
    ]


def _latex_table(columns: Sequence[Column], rows: Sequence[Any]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"{' & '.join(cells)} \\\\"

    return [
        f"\\begin{{tabular}}{{{''.join('l' if column.is_text else 'r' for column in columns)}}}",
        "\\hline",
        line([_in_latex(column.one_line_title) for column in columns]),
        "\\hline",
        *(line([_in_latex(column.text(row)) for column in columns]) for row in rows),
        "\\hline",
        "\\end{tabular}",
    ]


def _in_markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~$&!^])", r"\\\1", " ".join(text.split()))


def _in_latex(text: str) -> str:
    return "".join(_SPECIAL.get(sign, sign) for sign in " ".join(text.split()))
