"""The section on calibration: whether each model is right as often as it is confident."""

from kdrun.compare.report.elements import quiet
from kdrun.compare.report.page import Block, Section
from kdrun.compare.report.reliability_chart import reliability_chart
from kdrun.compare.report.run_record import RunRecord
from kdrun.core.number_format import share_or_none
from kdrun.core.records.summary import score_of

_TEXT = (
    "Test samples by the probability of the class that was chosen. Dark line: the share that"
    " is right; orange: its gap to the confidence; pale, at the bottom: how many there are."
)
_MISSING = "Needs the confidence of each answer, which this run's kdrun did not keep."


def calibration(record: RunRecord) -> Section:
    """A reliability diagram of each row."""
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
    text = [quiet(_TEXT if charts else _MISSING)] if record.rows else []
    return Section("Calibration", [*text, *charts])
