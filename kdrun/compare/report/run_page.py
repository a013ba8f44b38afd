"""The page of one run."""

from kdrun.compare.comparison import compare
from kdrun.compare.gather import Gathered, gather
from kdrun.compare.report.classes import calibration, classes
from kdrun.compare.report.compression import compression
from kdrun.compare.report.cost_charts import cost_figures
from kdrun.compare.report.learning_curves import learning, row_colors
from kdrun.compare.report.page import Page, Section
from kdrun.compare.report.reproduce import reproduce
from kdrun.compare.report.results import lead, results
from kdrun.compare.report.run_record import Record
from kdrun.compare.report.soft_labels import soft_labels
from kdrun.core.folder import RunFolder


def _cost(record: Record) -> Section:
    """Accuracy against what it costs, as a comparison of this run alone has it."""
    runs = gather([str(record.folder.path)]).runs
    if not runs:
        return Section("Accuracy and cost", [])
    (family,) = compare(Gathered(runs, [])).families
    names = {number: line.model for number, line in enumerate(family.lines)}
    colors = {number: row_colors(record)[name] for number, name in names.items()}
    on = "from the number of test samples alone"
    return Section("Accuracy and cost", cost_figures(family.lines, names, colors, "accuracy", on))


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
    """All that is known of a run; what it lacks is left out, or said to be missing.

    Raises:
        DamagedFile: one of its files is not what a run writes.
    """
    record = Record(folder)
    name = str(record.manifest.get("name") or folder.path.name)
    return Page(name, lead(record), [section(record) for section in _SECTIONS])
