"""The page of one run."""

from kdrun.compare.report.answers import calibration, classes
from kdrun.compare.report.compression import compression
from kdrun.compare.report.cost import cost
from kdrun.compare.report.learning import learning
from kdrun.compare.report.page import Page
from kdrun.compare.report.record import Record
from kdrun.compare.report.reproduce import reproduce
from kdrun.compare.report.results import lead, results
from kdrun.compare.report.soft_labels import soft_labels
from kdrun.core.folder import RunFolder

_SECTIONS = (
    results,
    learning,
    cost,
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
