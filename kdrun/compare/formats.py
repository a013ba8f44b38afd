"""A comparison as text for other programs: JSON, CSV, Markdown, LaTeX."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kdrun.compare.cells import measured, of_marginal, telling, tested
from kdrun.compare.columns import Column
from kdrun.compare.comparison import Comparison, Family
from kdrun.compare.keys import said
from kdrun.compare.lines import Line
from kdrun.compare.metrics import METRICS
from kdrun.compare.told import heading, sentences, told_of
from kdrun.core.atomic import finite

_FORMAT = 1  # of the JSON; raised when its meaning changes
_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "[": "{[}", "]": "{]}",  # at the front of a row it would be an option of the one before
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip


def as_json(comparison: Comparison) -> str:
    """All of it; figures as summary.json has them, null for what is not known."""
    tree = {
        "format": _FORMAT,
        "runs": [
            {"path": str(run.path), "name": run.name, "seed": run.seed, "started": run.started}
            for run in comparison.runs
        ],
        "left_out": [{**asdict(one), "path": str(one.path)} for one in comparison.left_out],
        "tables": [_family(family) for family in comparison.families],
    }
    return json.dumps(finite(tree, "", []), indent=2, ensure_ascii=False, allow_nan=False)


def _family(family: Family) -> dict[str, Any]:
    numbers = {id(one): number for number, one in enumerate(family.settings)}
    choice, marginal = family.choice, family.marginal
    return {
        "table": family.number,
        "reasons": family.reasons,
        "metric": family.metric,
        "keys": family.differing,
        "settings": [
            {
                "values": one.values,
                "judged_by": line.model,
                "runs": {str(seed): str(run.path) for seed, run in one.runs.items()},
            }
            for one, line in zip(family.settings, family.judged, strict=True)
        ],
        "lines": [
            {
                "model": line.model,
                "settings": [numbers[id(one)] for one in line.settings if id(one) in numbers],
                "values": line.values,
                "pareto": sorted(line.fronts),
                "latency_runtime": line.runtime or None,
                "metrics": {name: _metric(line, name) for name in line.estimates},
            }
            for line in family.lines
        ],
        "choice": choice
        and {
            "setting": None if choice.setting is None else numbers[id(choice.setting)],
            "by": choice.by,
            "chosen": choice.chosen and asdict(choice.chosen),
            "tested": choice.tested and asdict(choice.tested),
            "sentence": choice.sentence,
        },
        "tests": [{**asdict(one), "sentence": one.sentence} for one in family.claims],
        "marginal": marginal
        and {
            **{key: value for key, value in vars(marginal).items() if key != "claims"},
            "estimates": [
                {name: asdict(one) for name, one in found.items()} for found in marginal.estimates
            ],
            "tests": [{**asdict(one), "sentence": one.sentence} for one in marginal.claims],
        },
        "notes": family.notes,
    }


def _metric(line: Line, name: str) -> dict[str, Any]:
    own = {str(seed): figure for seed, figure in line.figures(name).items()}
    return {**asdict(line.estimates[name]), "by_seed": own}


def as_csv(comparison: Comparison) -> str:
    """A row a line of the tables; figures as summary.json has them, nothing where none is known."""
    keys = list(dict.fromkeys(key for one in comparison.families for key in one.differing))
    parts = ("mean", "deviation", "low", "high", "n")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = [f"{name}_{part}" for name in METRICS for part in parts]
    writer.writerow(["table", "model", *keys, "seeds", "pareto", *heads])
    for family in comparison.families:
        for line in family.lines:
            values = [said(line.values[key]) if key in line.values else "" for key in keys]
            found = [line.estimates.get(name) for name in METRICS]
            figures = [
                None if one is None else getattr(one, part) for one in found for part in parts
            ]
            seeds, pareto = " ".join(map(str, line.rows)), " ".join(sorted(line.fronts))
            writer.writerow([family.number, line.model, *values, seeds, pareto, *figures])
    return text.getvalue().rstrip("\n")


def as_markdown(comparison: Comparison) -> str:
    return _document(comparison, "## {}", "- {}", _markdown_table, _in_markdown)


def as_latex(comparison: Comparison) -> str:
    """Tables that need no package; sentences as paragraphs."""
    return _document(comparison, "\\subsection*{{{}}}", "{}\n", _latex_table, _in_latex)


_Table = Callable[[Sequence[Column], Sequence[Any]], list[str]]


def _document(
    comparison: Comparison, head: str, item: str, table: _Table, escape: Callable[[str], str]
) -> str:
    lines: list[str] = []
    for family in comparison.families:
        lines += [head.format(escape(heading(family))), ""]
        reasons = [f"Not comparable with table 1. {reason}" for reason in family.reasons]
        lines += [*(item.format(escape(reason)) for reason in reasons), ""] if reasons else []
        lines += [*table([*telling(family), *measured(family)], family.lines), ""]
        if family.marginal:
            lines += [*table(*of_marginal(family.marginal, family.metric)), ""]
        tests = [*family.claims, *(family.marginal.claims if family.marginal else [])]
        if tests:
            lines += [*table(tested(), tests), ""]
        lines += [*(item.format(escape(one)) for one in sentences(family)), ""]
    lines += [item.format(escape(line.strip())) for line in told_of(comparison.left_out)]
    return "\n".join(lines).rstrip("\n")


def _markdown_table(columns: Sequence[Column], rows: Sequence[Any]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    return [
        line([_in_markdown(_title(column)) for column in columns]),
        line(["---" if column.words else "---:" for column in columns]),
        *(line([_in_markdown(column.text(row)) for column in columns]) for row in rows),
    ]


def _latex_table(columns: Sequence[Column], rows: Sequence[Any]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"{' & '.join(cells)} \\\\"

    return [
        f"\\begin{{tabular}}{{{''.join('l' if column.words else 'r' for column in columns)}}}",
        "\\hline",
        line([_in_latex(_title(column)) for column in columns]),
        "\\hline",
        *(line([_in_latex(column.text(row)) for column in columns]) for row in rows),
        "\\hline",
        "\\end{tabular}",
    ]


def _title(column: Column) -> str:
    return column.title.replace("-\n", "").replace("\n", " ").strip()


def _in_markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~$&!^])", r"\\\1", " ".join(text.split()))


def _in_latex(text: str) -> str:
    return "".join(_SPECIAL.get(sign, sign) for sign in " ".join(text.split()))


FORMATS: Mapping[str, Callable[[Comparison], str]] = {
    "csv": as_csv,
    "json": as_json,
    "markdown": as_markdown,
    "latex": as_latex,
}
