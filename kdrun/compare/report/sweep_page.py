"""The report of a sweep, or of several runs together."""

from collections.abc import Sequence
from typing import NamedTuple

from kdrun.compare.comparison import Comparison, ComparisonTable, compare
from kdrun.compare.gather import Gathered, Run
from kdrun.compare.metrics import LAST, leading_at
from kdrun.compare.report.cost_charts import LegendName, cost_charts
from kdrun.compare.report.elements import bullets, facts, folded, muted_text, tile
from kdrun.compare.report.heat_map import heat_map
from kdrun.compare.report.jobs_table import jobs_table
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.page import Block, Page, Section
from kdrun.compare.report.palette import SERIES_COLORS
from kdrun.compare.report.reproduce import as_yaml, environment_facts
from kdrun.compare.report.setting_tables import difference_blocks, setting_names, settings_blocks
from kdrun.compare.report.validation_scores import ValidationScores, curves_figure

_MAX_CHARTED_TABLES = 6  # only the largest tables have charts
_REFERENCES = (
    "teacher",
    "alone",
)  # models that have the first two colors; settings have the others


def sweep_page(title: str, gathered: Gathered) -> Page:
    """Return the page that compares several runs.

    Args:
        title: title of the page.
        gathered: the finished runs, and the runs that are left out of the comparison.
    """
    comparison = compare(gathered)
    charts = [_charts(table, comparison) for table in comparison.tables[:_MAX_CHARTED_TABLES]]
    validation = [block for chart in charts for block in chart.validation]
    if len(comparison.tables) > _MAX_CHARTED_TABLES:
        validation.insert(0, muted_text(f"Charts of the {_MAX_CHARTED_TABLES} largest tables."))
    sections = [
        Section("Settings", _tables(comparison)),
        Section("Validation", validation),
        Section(
            f"{_score_name(comparison)} and cost",
            [block for chart in charts for block in chart.cost],
        ),
        Section("What differs", difference_blocks(comparison)),
        Section("Jobs", [jobs_table(comparison)]),
        Section("How to reproduce", _reproduce(comparison.runs)),
    ]
    return Page(title, _headline(comparison), sections)


def _score_name(comparison: Comparison) -> str:
    """Return the name of the score that the first table's task is about, for titles."""
    tables = comparison.tables
    return leading_at(tables[0].metrics, LAST).metric.heading if tables else "Scores"


def _headline(comparison: Comparison) -> list[Markup]:
    """Return the dataset and start time of the runs, and tiles: counts and the best setting."""
    runs, tables = comparison.runs, comparison.tables
    setting_count = sum(len(table.settings) for table in tables)
    tiles = [
        tile(str(len(runs)), "finished runs"),
        tile(str(setting_count), "settings" if setting_count != 1 else "setting"),
        tile(str(len({run.seed for run in runs})), "seeds"),
    ]
    choice = tables[0].choice if tables else None
    if choice and choice.setting and choice.chosen:
        metric = tables[0].metrics[choice.by]
        caption = f"{metric.label}: {choice.setting.label}"
        tiles.append(tile(f"{metric.text(choice.chosen.mean)}{metric.unit.sign}", caption))
    if choice and choice.setting and choice.tested:
        metric = tables[0].metrics[tables[0].metric]
        caption = f"{metric.label} of this setting on the test split"
        tiles.append(tile(f"{metric.text(choice.tested.mean)}{metric.unit.sign}", caption))
    if comparison.left_out:
        tiles.append(tile(str(len(comparison.left_out)), "runs left out"))
    datasets = list(dict.fromkeys(run.summary["dataset"] for run in runs))
    text = f"{', '.join(datasets)} · started {min((run.started for run in runs), default='-')}"
    return [tag("p", text, class_="muted"), tag("div", *tiles, class_="tiles")]


def _tables(comparison: Comparison) -> list[Block]:
    """Return the tables of settings, and the reasons why the settings need several tables."""
    blocks: list[Block] = []
    for table in comparison.tables:
        if len(comparison.tables) > 1:
            blocks.append(tag("h3", f"Table {table.number}"))
            blocks += [bullets(table.reasons)] if table.reasons else []
        blocks += settings_blocks(table)
    return blocks or [tag("p", "No run is finished.", class_="bad")]


class _Charts(NamedTuple):
    validation: list[Block]
    cost: list[Block]


def _charts(table: ComparisonTable, comparison: Comparison) -> _Charts:
    """Return the charts of a table; a setting has the same color in all of them."""
    scores = ValidationScores(table)
    colors = [len(_REFERENCES) + rank for rank in scores.ranks]
    names = [name or scores.model_names for name in setting_names(table)]
    figures = (
        heat_map(scores) if len(table.settings) > 1 else None,
        curves_figure(scores, names, colors),
    )
    validation: list[Block] = [figure for figure in figures if figure]
    if validation and len(names) + len(_REFERENCES) > SERIES_COLORS:
        validation.insert(0, muted_text(_colored_note(table)))
    several_seeds = max(len(line.rows) for line in table.lines) > 1
    interval = "over the seeds" if several_seeds else "from the number of test samples alone"
    colored = _colored_lines(table, names, colors)
    cost: list[Block] = [*cost_charts(table.lines, colored, table.metrics[table.metric], interval)]
    heading = [tag("h3", f"Table {table.number}")] if len(comparison.tables) > 1 else []
    return _Charts([*heading, *validation] if validation else [], [*heading, *cost] if cost else [])


def _colored_lines(
    table: ComparisonTable, names: Sequence[str], colors: Sequence[int]
) -> dict[int, LegendName]:
    """Return the lines that have a color: teacher, control, and the judged model of each setting.

    Args:
        table: the table of settings.
        names: names of the settings.
        colors: color numbers of the settings.

    Returns:
        Index of the line in the table -> its name and color.
    """
    series: dict[int, LegendName] = {}
    references: set[str] = set()
    for index, line in enumerate(table.lines):
        settings = [setting for setting, judged in enumerate(table.judged) if judged is line]
        if line.model in _REFERENCES and line.model not in references:
            references.add(line.model)
            series[index] = LegendName(line.model, _REFERENCES.index(line.model))
        elif settings and colors[settings[0]] < SERIES_COLORS:
            series[index] = LegendName(names[settings[0]], colors[settings[0]])
    return series


def _colored_note(table: ComparisonTable) -> str:
    count = SERIES_COLORS - len(_REFERENCES)
    return f"Colored: the {count} settings of {len(table.settings)} that are best on validation."


def _reproduce(runs: Sequence[Run]) -> list[Block]:
    """Return versions, machine, shared fingerprints, and the config of the first run."""
    if not runs:
        return []
    first = runs[0]
    environments = {str(sorted(environment_facts(run.environment).items())) for run in runs}
    text = (
        "The table of jobs has the exact command of each job. The store keeps the teacher and the"
        " control under their fingerprints."
    )
    if len(environments) > 1:
        text += " The runs had different environments; the first run's is shown."
    config = first.folder.manifest().get("config") or first.folder.config()
    return [
        muted_text(text),
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
    """Return the fingerprint for each seed of the stages that all runs with this seed share."""
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
