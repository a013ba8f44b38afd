"""The page of a sweep, or of several runs together."""

import re
from collections.abc import Sequence
from pathlib import Path

from kdrun.compare.comparison import Comparison, Family, compare
from kdrun.compare.gather import Gathered, LeftOut, Run
from kdrun.compare.metrics import METRICS
from kdrun.compare.report.cells import cell, facts, folded, listed, quiet, tile
from kdrun.compare.report.cost import cost_figures
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.page import Block, Page, Section, table
from kdrun.compare.report.palette import SERIES
from kdrun.compare.report.reproduce import surroundings, written
from kdrun.compare.report.settings import difference_blocks, labels, settings_blocks
from kdrun.compare.report.validation import Validated, curves_figure, heat_map

_FIRST = ("teacher", "alone")  # the colors that these have; settings have those after them


def sweep_page(title: str, gathered: Gathered) -> Page:
    """All that runs say together.

    Args:
        title: of the page.
        gathered: the runs, and those that are left out.
    """
    comparison = compare(gathered)
    sections = [Section("Settings", _tables(comparison))]
    sections += [
        Section(_titled(title, family, comparison), blocks)
        for family in comparison.families
        for title, blocks in _charts(family)
    ]
    sections.append(Section("What differs", difference_blocks(comparison)))
    sections.append(Section("Jobs", [_jobs(comparison)]))
    sections.append(Section("How to reproduce", _reproduce(comparison.runs)))
    return Page(title, _lead(comparison), sections)


def _lead(comparison: Comparison) -> list[Markup]:
    runs, families = comparison.runs, comparison.families
    settings = sum(len(family.settings) for family in families)
    tiles = [
        tile(str(len(runs)), "finished runs"),
        tile(str(settings), "settings" if settings != 1 else "setting"),
        tile(str(len({run.seed for run in runs})), "seeds"),
    ]
    choice = families[0].choice if families else None
    if choice and choice.setting and choice.chosen:
        said = METRICS[choice.by].shown(choice.chosen.mean)
        tiles.append(tile(f"{said} %", f"{choice.by} of the chosen {choice.setting.label}"))
    if choice and choice.setting and choice.tested:
        said = METRICS[families[0].metric].shown(choice.tested.mean)
        tiles.append(tile(f"{said} %", "on the test split, of the chosen one"))
    if comparison.left_out:
        tiles.append(tile(str(len(comparison.left_out)), "runs that don't count"))
    names = list(dict.fromkeys(str(run.summary.get("dataset")) for run in runs))
    told = f"{', '.join(names)} · started {min((run.started for run in runs), default='-')}"
    return [tag("p", told, class_="quiet"), tag("div", *tiles, class_="tiles")]


def _tables(comparison: Comparison) -> list[Block]:
    blocks: list[Block] = []
    for family in comparison.families:
        if len(comparison.families) > 1:
            blocks.append(tag("h3", f"Table {family.number}"))
            blocks += [listed(family.reasons)] if family.reasons else []
        blocks += settings_blocks(family)
    return blocks or [tag("p", "No run is finished.", class_="bad")]


def _charts(family: Family) -> list[tuple[str, list[Block]]]:
    """Validation and cost of a table, the same color for the same setting."""
    validated = Validated(family)
    colors = [len(_FIRST) + validated.ranks[at] for at in range(len(family.settings))]
    names = [label or validated.model for label in labels(family)]
    heat = heat_map(validated) if len(family.settings) > 1 else None
    curves = curves_figure(validated, names, colors)
    shown, named = _colored(family, names, colors)
    seeds = max(len(line.rows) for line in family.lines)
    on = "over the seeds" if seeds > 1 else "from the number of test samples alone"
    cost = cost_figures(family.lines, named, shown, family.metric, on)
    best = [quiet(_best(family))] if len(names) + len(_FIRST) > SERIES else []
    return [
        ("Validation", [*best, *(figure for figure in (heat, curves) if figure)]),
        ("Accuracy and cost", list(cost)),
    ]


def _titled(title: str, family: Family, comparison: Comparison) -> str:
    return f"{title}, table {family.number}" if len(comparison.families) > 1 else title


def _colored(
    family: Family, names: Sequence[str], colors: Sequence[int]
) -> tuple[dict[int, int], dict[int, str]]:
    """The colors and names of the lines that have one, by their numbers."""
    shown: dict[int, int] = {}
    named: dict[int, str] = {}
    for number, line in enumerate(family.lines):
        own = [at for at, judged in enumerate(family.judged) if judged is line]
        if line.model in _FIRST and _FIRST.index(line.model) not in shown.values():
            shown[number], named[number] = _FIRST.index(line.model), line.model
        elif own and colors[own[0]] < SERIES:
            shown[number], named[number] = colors[own[0]], names[own[0]]
    return shown, named


def _best(family: Family) -> str:
    count = SERIES - len(_FIRST)
    return f"Colored: the {count} settings of {len(family.settings)} that are best on validation."


def _jobs(comparison: Comparison) -> Markup:
    """Every run with its status and main figure; those that failed say why."""
    jobs = [(run.path, _finished(run)) for run in comparison.runs]
    jobs += [(one.path, _left(one)) for one in comparison.left_out]
    rows = [row for _, row in sorted(jobs, key=lambda job: _natural(job[0]))]
    heads = ("run", "status", "seed", "top-1 %", "seconds", "command or error")
    return table(heads, rows, words=(0, 1, 5))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Where a path stands: 2 before 10."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part) if part.isdigit() else -1, part) for part in parts]


def _finished(run: Run) -> Markup:
    last = list(run.rows.values())[-1]
    return tag(
        "tr",
        cell(run.path.name, words=True),
        cell("finished", words=True),
        cell(run.seed),
        cell(METRICS["accuracy"].shown(last["accuracy"])),
        cell(f"{sum(row.get('seconds') or 0 for row in run.rows.values()):.1f}"),
        tag("td", tag("code", run.command), class_="words long"),
    )


def _left(one: LeftOut) -> Markup:
    return tag(
        "tr",
        cell(one.path.name, words=True),
        tag("td", one.kind, class_="words bad"),
        *(cell("-") for _ in range(3)),
        tag("td", one.reason, class_="words long"),
    )


def _reproduce(runs: Sequence[Run]) -> list[Block]:
    if not runs:
        return []
    first = runs[0]
    kinds = {str(sorted(surroundings(run.environment).items())) for run in runs}
    told = (
        "Each job's exact command is in the table of jobs; the teacher and the control are found"
        " in the store by their fingerprints."
    )
    unlike = "Not all runs had the same surroundings; these are the first's."
    prints = {
        name: mark
        for run in runs
        for name, mark in run.stages.items()
        if mark and all(other.stages.get(name, mark) == mark for other in runs)
    }
    return [
        quiet(told if len(kinds) == 1 else f"{told} {unlike}"),
        facts(
            {
                "seeds": ", ".join(map(str, sorted({run.seed for run in runs}))),
                **surroundings(first.environment),
                **{f"{name}, of all runs": tag("code", mark) for name, mark in prints.items()},
            }
        ),
        folded(
            "Config of the first run in full",
            tag("pre", written(first.folder.manifest().get("config") or first.folder.config())),
        ),
    ]
