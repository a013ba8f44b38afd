"""The report page of one run."""

from kdrun.compare.comparison import compare
from kdrun.compare.gather import Gathered, gather
from kdrun.compare.report.calibration import calibration
from kdrun.compare.report.classes import classes
from kdrun.compare.report.compression import compression
from kdrun.compare.report.cost_charts import LegendName, cost_charts
from kdrun.compare.report.learning_curves import learning, row_colors
from kdrun.compare.report.page import Page, Section
from kdrun.compare.report.reproduce import reproduce
from kdrun.compare.report.results import headline, results
from kdrun.compare.report.run_record import RunRecord
from kdrun.compare.report.soft_labels import soft_labels
from kdrun.core.folder import RunFolder


def _cost(record: RunRecord) -> Section:
    """Chart accuracy against cost of the rows; the numbers are those of `kdrun compare`."""
    runs = gather([str(record.folder.path)]).runs
    if not runs:
        return Section("Accuracy and cost", [])
    (table,) = compare(Gathered(runs, [])).tables
    colors = row_colors(record)
    colored = {
        index: LegendName(line.model, colors[line.model]) for index, line in enumerate(table.lines)
    }
    interval = "from the number of test samples alone"
    return Section("Accuracy and cost", cost_charts(table.lines, colored, "accuracy", interval))


_SECTIONS = (
    results,
    learning,
    _cost,
    calibration,
    classes,
    soft_labels,
    compression,
    reproduce,
)


def run_page(folder: RunFolder) -> Page:
    """Return the page of a run; a section whose files are missing is skipped or says so.

    Raises:
        DamagedFile: a file of the run is damaged.
    """
    record = RunRecord(folder)
    folder.check_files(record.manifest)
    name = str(record.manifest.get("name") or folder.path.name)
    return Page(name, headline(record), [section(record) for section in _SECTIONS])
