"""docs/reliability.md has every row, and the form that its command writes."""

import re
from pathlib import Path

from controls.rows import TABLES
from controls.table import CONTROLS
from reliability import page

ROWS = {row: title for rows in TABLES.values() for row, title in rows.items()}
DOCS = Path(__file__).parents[1] / "docs" / "reliability.md"


def results(bit: bool) -> page.Results:
    counted = {"commit": "abc", "date": "2026-01-02", "seconds": 1, "machine": "a machine"}
    control = {"key": "", "row": "F3", "tests": ["a"], "cases": 4, "passed": 4, "bit": bit}
    return {
        "kills": {"injected": 9, "runs": 3, "same": 3, **counted},
        "hooks": {"points": {"half-temp": {"injected": 2, "same": 2}}, **counted},
        "texts": {
            "kills": {"injected": 8, "runs": 2, "same": 2},
            "points": {"half-temp": {"injected": 1, "same": 1}},
            **counted,
        },
        "damage": {
            "flips": {"injected": 5, "survived": 5},
            "cuts": {"injected": 6, "survived": 6},
            **counted,
        },
        "store": {"times": 7, "processes": 8, "good": 7, **counted},
        "fuzz": {"fuzzers": {"test_any": {"examples": 1000, "passed": True}}, **counted},
        "controls": {"controls": [control, {**control, "bit": True}], **counted},
    }


def test_a_control_that_did_not_bite_is_on_the_page() -> None:
    whole = "\n".join(page.lines(results(bit=True)))
    assert "\n| F3 | kill at half of it | 4 | 4 | 2 | yes |\n" in whole
    assert "\n| any | 1,000 | none |\n" in whole
    assert "| F3 | kill at half of it | 4 | 4 | 2 | 1 of 2 |" in page.lines(results(bit=False))
    assert "| F4 | kill before fsync | - | - | - | - |" in page.lines(results(bit=True))


def test_every_control_is_of_a_row() -> None:
    assert {control.row for control in CONTROLS} <= ROWS.keys()


def test_the_page_has_every_row_and_no_control_that_did_not_bite() -> None:
    text = DOCS.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\S+) \| (.+) \| (.+) \| (.+) \| (.+) \| (.+) \|$", text, re.MULTILINE)
    found = {row: title for row, title, *_ in rows if row in ROWS}
    assert found == ROWS
    for row, _, cases, passed, _, bite in rows:
        if row in ROWS:
            assert (cases, bite) == (passed, "yes" if cases != "-" else "-"), row


def test_the_page_has_the_form_that_its_command_writes() -> None:
    """Headings, sentences and heads of tables; figures differ."""
    text = DOCS.read_text(encoding="utf-8").splitlines()
    written = "\n".join(page.lines(results(bit=True))).splitlines()
    fixed = [line for line in written if not re.search(r"\d|machine", line) and "| -" not in line]
    assert len(fixed) > 20
    assert [line for line in fixed if line not in text] == []
