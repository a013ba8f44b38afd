"""The report page of one run."""

from collections.abc import Callable

from kdrun.compare.comparison import compare
from kdrun.compare.gather import Gathered, gather
from kdrun.compare.metrics import LAST, leading_at
from kdrun.compare.report.compression import compression
from kdrun.compare.report.cost_charts import LegendName, cost_charts
from kdrun.compare.report.learning_curves import learning, row_colors
from kdrun.compare.report.page import Page, Section
from kdrun.compare.report.reproduce import reproduce
from kdrun.compare.report.results import headline, results
from kdrun.compare.report.run_record import RunRecord
from kdrun.core.folder import RunFolder
from kdrun.core.named_part import part_of


def _cost(record: RunRecord) -> Section:
    """Chart the leading score of the rows against cost, with the numbers of `kdrun compare`."""
    runs = gather([str(record.folder.path)]).runs
    title = f"{record.task.leading().heading} and cost"
    if not runs:
        return Section(title, [])
    (table,) = compare(Gathered(runs, [])).tables
    colors = row_colors(record)
    colored = {
        index: LegendName(line.model, colors[line.model]) for index, line in enumerate(table.lines)
    }
    interval = "from the number of test samples alone"
    return Section(
        title, cost_charts(table.lines, colored, leading_at(table.metrics, LAST), interval)
    )


def _sections(record: RunRecord) -> list[Callable[[RunRecord], Section]]:
    """Return the functions of the page's sections, in order."""
    of_task = map(part_of, record.task.sections)
    return [results, learning, _cost, *of_task, compression, reproduce]


def run_page(folder: RunFolder) -> Page:
    """Return the page of a run; a section whose files are missing is skipped or says so.

    Raises:
        DamagedFile: a file of the run is damaged.
    """
    record = RunRecord(folder)
    folder.check_files(record.manifest)
    name = str(record.manifest.get("name") or folder.path.name)
    return Page(name, headline(record), [section(record) for section in _sections(record)])
