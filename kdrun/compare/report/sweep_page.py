"""The report of a sweep, or of several runs together."""

from collections.abc import Sequence
from typing import NamedTuple

from kdrun.compare.comparison import Comparison, ComparisonTable, compare
from kdrun.compare.gather import Gathered, Run
from kdrun.compare.metrics import METRICS
from kdrun.compare.report.cost_charts import Series, cost_charts
from kdrun.compare.report.elements import bullets, facts, folded, quiet, tile
from kdrun.compare.report.heat_map import heat_map
from kdrun.compare.report.jobs_table import jobs_table
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.page import Block, Page, Section
from kdrun.compare.report.palette import SERIES
from kdrun.compare.report.reproduce import as_yaml, environment_facts
from kdrun.compare.report.setting_tables import difference_blocks, setting_names, settings_blocks
from kdrun.compare.report.validation_scores import ValidationScores, curves_figure

_MOST_CHARTED = 6  # tables that have charts: the largest ones
_REFERENCES = ("teacher", "alone")  # models with the first colors; the settings have the next


def sweep_page(title: str, gathered: Gathered) -> Page:
    """The page of several runs.

    Args:
        title: of the page.
        gathered: the runs, and those that are left out.
    """
    comparison = compare(gathered)
    charts = [_charts(family, comparison) for family in comparison.families[:_MOST_CHARTED]]
    validation = [block for chart in charts for block in chart.validation]
    if len(comparison.families) > _MOST_CHARTED:
        validation.insert(0, quiet(f"Charts of the {_MOST_CHARTED} largest tables."))
    sections = [
        Section("Settings", _tables(comparison)),
        Section("Validation", validation),
        Section("Accuracy and cost", [block for chart in charts for block in chart.cost]),
        Section("What differs", difference_blocks(comparison)),
        Section("Jobs", [jobs_table(comparison)]),
        Section("How to reproduce", _reproduce(comparison.runs)),
    ]
    return Page(title, _headline(comparison), sections)


def _headline(comparison: Comparison) -> list[Markup]:
    """Dataset and start of the runs, and tiles with their numbers and the best setting."""
    runs, families = comparison.runs, comparison.families
    settings = sum(len(family.settings) for family in families)
    tiles = [
        tile(str(len(runs)), "finished runs"),
        tile(str(settings), "settings" if settings != 1 else "setting"),
        tile(str(len({run.seed for run in runs})), "seeds"),
    ]
    choice = families[0].choice if families else None
    if choice and choice.setting and choice.chosen:
        metric = METRICS[choice.by]
        caption = f"{metric.label}: {choice.setting.label}"
        tiles.append(tile(f"{metric.text(choice.chosen.mean)} %", caption))
    if choice and choice.setting and choice.tested:
        metric = METRICS[families[0].metric]
        caption = f"{metric.label} of that, on the test split"
        tiles.append(tile(f"{metric.text(choice.tested.mean)} %", caption))
    if comparison.left_out:
        tiles.append(tile(str(len(comparison.left_out)), "runs that don't count"))
    datasets = list(dict.fromkeys(str(run.summary.get("dataset")) for run in runs))
    text = f"{', '.join(datasets)} · started {min((run.started for run in runs), default='-')}"
    return [tag("p", text, class_="quiet"), tag("div", *tiles, class_="tiles")]


def _tables(comparison: Comparison) -> list[Block]:
    blocks: list[Block] = []
    for family in comparison.families:
        if len(comparison.families) > 1:
            blocks.append(tag("h3", f"Table {family.number}"))
            blocks += [bullets(family.reasons)] if family.reasons else []
        blocks += settings_blocks(family)
    return blocks or [tag("p", "No run is finished.", class_="bad")]


class _Charts(NamedTuple):
    validation: list[Block]
    cost: list[Block]


def _charts(family: ComparisonTable, comparison: Comparison) -> _Charts:
    """The charts of a table, in which a setting has the same color everywhere."""
    scores = ValidationScores(family)
    colors = [len(_REFERENCES) + rank for rank in scores.ranks]
    names = [name or scores.models for name in setting_names(family)]
    heat = heat_map(scores) if len(family.settings) > 1 else None
    curves = curves_figure(scores, names, colors)
    validation: list[Block] = [figure for figure in (heat, curves) if figure]
    if validation and len(names) + len(_REFERENCES) > SERIES:
        validation.insert(0, quiet(_colored_note(family)))
    several_seeds = max(len(line.rows) for line in family.lines) > 1
    interval = "over the seeds" if several_seeds else "from the number of test samples alone"
    series = _series(family, names, colors)
    cost: list[Block] = [*cost_charts(family.lines, series, family.metric, interval)]
    heading = [tag("h3", f"Table {family.number}")] if len(comparison.families) > 1 else []
    return _Charts([*heading, *validation] if validation else [], [*heading, *cost] if cost else [])


def _series(family: ComparisonTable, names: Sequence[str], colors: Sequence[int]) -> Series:
    """The lines that have a color: teacher, control, and the model that each setting is judged by.

    Args:
        family: the table.
        names: of its settings.
        colors: of its settings.
    """
    series: dict[int, tuple[str, int]] = {}
    references: set[str] = set()
    for index, line in enumerate(family.lines):
        settings = [number for number, judged in enumerate(family.judged) if judged is line]
        if line.model in _REFERENCES and line.model not in references:
            references.add(line.model)
            series[index] = (line.model, _REFERENCES.index(line.model))
        elif settings and colors[settings[0]] < SERIES:
            series[index] = (names[settings[0]], colors[settings[0]])
    return series


def _colored_note(family: ComparisonTable) -> str:
    count = SERIES - len(_REFERENCES)
    return f"Colored: the {count} settings of {len(family.settings)} that are best on validation."


def _reproduce(runs: Sequence[Run]) -> list[Block]:
    """Versions, machine, fingerprints and the config of the first run."""
    if not runs:
        return []
    first = runs[0]
    environments = {str(sorted(environment_facts(run.environment).items())) for run in runs}
    text = (
        "Each job's exact command is in the table of jobs; the teacher and the control are found"
        " in the store by their fingerprints."
    )
    if len(environments) > 1:
        text += " Not all runs had the same surroundings; these are the first's."
    config = first.folder.manifest().get("config") or first.folder.config()
    return [
        quiet(text),
        facts(
            {
                "seeds": ", ".join(map(str, sorted({run.seed for run in runs}))),
                **environment_facts(first.environment),
                **_shared_fingerprints(runs),
            }
        ),
        folded("Config of the first run in full", tag("pre", as_yaml(config))),
    ]


def _shared_fingerprints(runs: Sequence[Run]) -> dict[str, str]:
    """The fingerprints, by seed, of each stage that all runs of a seed share."""
    stages: dict[str, dict[int, set[str]]] = {}
    for run in runs:
        for stage, fingerprint in run.stages.items():
            if fingerprint:
                stages.setdefault(stage, {}).setdefault(run.seed, set()).add(fingerprint)
    return {
        f"{stage} in the store": ", ".join(
            f"{'/'.join(fingerprints)} (seed {seed})"
            for seed, fingerprints in sorted(seeds.items())
        )
        for stage, seeds in stages.items()
        if all(len(fingerprints) == 1 for fingerprints in seeds.values())
    }
