"""The settings of a sweep: their table, what tests allow to say, and where they differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdrun.compare.comparison import Comparison, Family
from kdrun.compare.keys import said, short
from kdrun.compare.lines import COSTS, Line
from kdrun.compare.metrics import METRICS, Metric
from kdrun.compare.report.cells import cell, listed, quiet
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.page import Block, table

_FRONT = {"bytes": "size", "macs": "work", "latency": "latency"}
_SPREAD = ("validation", "best_validation", "accuracy", "best_accuracy")


def settings_blocks(family: Family) -> list[Block]:
    """A row for each model of each setting; the chosen setting's rows stand out."""
    blocks: list[Block] = []
    claims = [claim.sentence for claim in family.claims]
    sentences = [*([family.choice.sentence] if family.choice else []), *claims]
    if family.marginal:
        sentences += [family.marginal.sentence, *(one.sentence for one in family.marginal.claims)]
    if sentences:
        blocks.append(listed(sentences, "said"))
    blocks += _table_pair(family)
    told = "Means over the seeds, with 95 % intervals; ± is the standard deviation over the seeds."
    blocks.append(quiet(told))
    if family.notes:
        blocks.append(listed(family.notes))
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


def _table_pair(family: Family) -> list[Markup]:
    """How good the settings are, and what they cost."""
    known = [name for name in METRICS if any(name in line.estimates for line in family.lines)]
    cost = [name for name in known if not METRICS[name].split]
    return [_table(family, [name for name in known if name not in cost]), _table(family, cost)]


def _table(family: Family, shown: Sequence[str]) -> Markup:
    fronts = set(COSTS) & set(shown)
    heads = [
        "model",
        *(short(key) for key in family.differing),
        "seeds",
        *(" ".join(METRICS[name].title.replace("-\n", "").split()) for name in shown),
        *(["Pareto front"] if fronts else []),
    ]
    rows = [
        tag(
            "tr",
            cell(line.model, words=True),
            *(cell(_value(line.values, key)) for key in family.differing),
            cell(len(line.rows)),
            *(_estimate(line, name, METRICS[name]) for name in shown),
            _on_fronts(line) if fronts else None,
            class_="chosen" if chosen(family, line) else None,
        )
        for line in family.lines
    ]
    return table(heads, rows, words=(0, len(heads) - 1) if fronts else (0,))


def _on_fronts(line: Line) -> Markup:
    return cell(", ".join(_FRONT[cost] for cost in COSTS if cost in line.fronts), words=True)


def _value(values: Mapping[str, Any], key: str) -> str:
    return said(values[key]) if key in values else "-"


def _estimate(line: Line, name: str, metric: Metric) -> Markup:
    """A mean; of several seeds with its deviation, of accuracies with its interval too."""
    found = line.estimates.get(name)
    if found is None:
        return cell("-")
    words = metric.shown(found.mean)
    if found.deviation and name in _SPREAD and found.low is not None and found.high is not None:
        ends = f"{metric.shown(found.low)} to {metric.shown(found.high)}"
        words += f" ±{metric.shown(found.deviation)} ({ends})"
    return tag("td", words, data_value=repr(found.mean))
