"""The page of a sweep, or of several runs together."""

from collections.abc import Sequence

from kdrun.compare.comparison import Comparison, Family, compare
from kdrun.compare.gather import Gathered, Run
from kdrun.compare.metrics import METRICS
from kdrun.compare.report.cost_charts import cost_figures
from kdrun.compare.report.heat_map import heat_map
from kdrun.compare.report.jobs_table import jobs_table
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.page import Block, Page, Section
from kdrun.compare.report.palette import SERIES
from kdrun.compare.report.reproduce import surroundings, written
from kdrun.compare.report.setting_tables import difference_blocks, labels, settings_blocks
from kdrun.compare.report.tables import facts, folded, listed, quiet, tile
from kdrun.compare.report.validation_scores import Validated, curves_figure

_CHARTED = 6  # tables that have charts, the largest ones
_FIRST = ("teacher", "alone")  # the colors that these have; settings have those after them


def sweep_page(title: str, gathered: Gathered) -> Page:
    """All that runs say together.

    Args:
        title: of the page.
        gathered: the runs, and those that are left out.
    """
    comparison = compare(gathered)
    charts = [_charts(family, comparison) for family in comparison.families[:_CHARTED]]
    more = len(comparison.families) > _CHARTED
    few = [quiet(f"Charts of the {_CHARTED} largest tables.")] if more else []
    sections = [
        Section("Settings", _tables(comparison)),
        Section("Validation", [*few, *(block for validation, _ in charts for block in validation)]),
        Section("Accuracy and cost", [block for _, cost in charts for block in cost]),
    ]
    sections.append(Section("What differs", difference_blocks(comparison)))
    sections.append(Section("Jobs", [jobs_table(comparison)]))
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
        said = METRICS[choice.by].text(choice.chosen.mean)
        tiles.append(tile(f"{said} %", f"{METRICS[choice.by].label}: {choice.setting.label}"))
    if choice and choice.setting and choice.tested:
        said = METRICS[families[0].metric].text(choice.tested.mean)
        tiles.append(
            tile(f"{said} %", f"{METRICS[families[0].metric].label} of that, on the test split")
        )
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


def _charts(family: Family, comparison: Comparison) -> tuple[list[Block], list[Block]]:
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
    several = len(comparison.families) > 1
    head = [tag("h3", f"Table {family.number}")] if several else []
    best = [quiet(_best(family))] if len(names) + len(_FIRST) > SERIES else []
    validation = [figure for figure in (heat, curves) if figure]
    return [*head, *best, *validation] if validation else [], [*head, *cost] if cost else []


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
    return [
        quiet(told if len(kinds) == 1 else f"{told} {unlike}"),
        facts(
            {
                "seeds": ", ".join(map(str, sorted({run.seed for run in runs}))),
                **surroundings(first.environment),
                **_prints(runs),
            }
        ),
        folded(
            "Config of the first run in full",
            tag("pre", written(first.folder.manifest().get("config") or first.folder.config())),
        ),
    ]


def _prints(runs: Sequence[Run]) -> dict[str, str]:
    """The fingerprint of each stage that all runs of a seed share, by seed."""
    found: dict[str, dict[int, set[str]]] = {}
    for run in runs:
        for stage, mark in run.stages.items():
            if mark:
                found.setdefault(stage, {}).setdefault(run.seed, set()).add(mark)
    return {
        f"{stage} in the store": ", ".join(
            f"{'/'.join(marks)} (seed {seed})" for seed, marks in sorted(seeds.items())
        )
        for stage, seeds in found.items()
        if all(len(marks) == 1 for marks in seeds.values())
    }
