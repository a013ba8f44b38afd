"""Every run of a sweep with its status and main figure, and why some don't count."""

from kdrun.compare.comparison import Comparison
from kdrun.compare.gather import LeftOut, Run
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.page import table
from kdrun.compare.report.tables import cell
from kdrun.core.folder import in_order
from kdrun.core.metrics import leading
from kdrun.core.number_format import share_or_none
from kdrun.core.records.summary import score_of


def jobs_table(comparison: Comparison) -> Markup:
    """Every run with its status and the top-1 that it is judged by; those that failed say why."""
    judged = {
        run.path: line.model
        for family in comparison.families
        for setting, line in zip(family.settings, family.judged, strict=True)
        for run in setting.runs.values()
    }
    jobs = [(run.path, _finished(run, judged.get(run.path, ""))) for run in comparison.runs]
    jobs += [(one.path, _left(one)) for one in comparison.left_out]
    rows = [row for _, row in sorted(jobs, key=lambda job: in_order(job[0]))]
    heads = ("run", "status", "seed", "top-1 %", "seconds", "command or error")
    return table(heads, rows, words=(0, 1, 5))


def _finished(run: Run, judged: str) -> Markup:
    accuracy = score_of(run.rows[judged], leading().name) if judged in run.rows else None
    return tag(
        "tr",
        cell(run.path.name, words=True),
        cell("finished", words=True),
        cell(run.seed),
        cell(share_or_none(accuracy)),
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
