"""The table of the runs of a sweep: status, main score, and command or error of each run."""

from kdrun.compare.comparison import Comparison
from kdrun.compare.gather import LeftOut, Run
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.tables import cell, html_table
from kdrun.core.folder import in_order
from kdrun.core.metrics import Metric
from kdrun.core.records.summary import score_of
from kdrun.task import task_of

_LAST_TITLES = ("seconds", "command or error")


def jobs_table(comparison: Comparison) -> Markup:
    """Return a table of all runs, finished or left out, in the order of their folders."""
    judged_models = {
        run.path: line.model
        for table in comparison.tables
        for setting, line in zip(table.settings, table.judged, strict=True)
        for run in setting.runs.values()
    }
    rows = [
        (run.path, _finished_row(run, judged_models.get(run.path, ""))) for run in comparison.runs
    ]
    rows += [(run.path, _left_out_row(run)) for run in comparison.left_out]
    ordered = [row for _, row in sorted(rows, key=lambda pair: in_order(pair[0]))]
    metrics = dict.fromkeys(_leading(run).title.replace("\n", " ") for run in comparison.runs)
    titles = ("run", "status", "seed", ", ".join(metrics) or "score", *_LAST_TITLES)
    return html_table(titles, ordered, texts=(0, 1, 5))


def _leading(run: Run) -> Metric:
    return task_of(run.summary).leading()


def _finished_row(run: Run, model: str) -> Markup:
    """Return the row of a finished run.

    Args:
        run: the run.
        model: row of its results table whose score is shown.
    """
    metric = _leading(run)
    score = score_of(run.rows[model], metric.name) if model in run.rows else None
    return tag(
        "tr",
        cell(run.path.name, is_text=True),
        cell("finished", is_text=True),
        cell(run.seed),
        cell("-" if score is None else metric.unit.text(score)),
        cell(f"{sum(row.get('seconds') or 0 for row in run.rows.values()):.1f}"),
        tag("td", tag("code", run.command), class_="words long"),
    )


def _left_out_row(run: LeftOut) -> Markup:
    return tag(
        "tr",
        cell(run.path.name, is_text=True),
        tag("td", run.kind, class_="words bad"),
        *(cell("-") for _ in range(3)),
        tag("td", run.reason, class_="words long"),
    )
