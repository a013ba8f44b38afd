"""The calibration section of a run's page: confidence against accuracy of each model."""

from kdrun.compare.report.elements import muted_text
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.reliability_chart import reliability_chart
from kdrun.compare.report.run_record import RunRecord
from kdrun.core.number_format import share_or_none
from kdrun.core.records.summary import score_of

_EXPLANATION = (
    "Test samples by the probability of their predicted class. Dark line: accuracy; orange: gap"
    " between accuracy and confidence; pale, at the bottom: number of samples."
)
_MISSING = "The kdrun version of this run did not save the confidence of each prediction."


def calibration(record: RunRecord) -> Section:
    """Return a reliability diagram for each row of the results table."""
    charts: list[Block] = []
    arrays = record.predictions or {}
    for row in record.rows:
        name = row["model"]
        if f"{name}/confidence" not in arrays:
            continue
        correct = arrays[f"{name}/predicted"] == arrays["target"]
        title = f"{name}: ECE {share_or_none(score_of(row, 'ece'))} %"
        confidence = arrays[f"{name}/confidence"]
        charts.append(reliability_chart(f"reliability-{name}", title, confidence, correct))
    text = [muted_text(_EXPLANATION if charts else _MISSING)] if record.rows else []
    return Section("Calibration", [*text, *charts])
