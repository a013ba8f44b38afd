"""What the docs name is there."""

import re
from pathlib import Path

import pytest
from forked import ROOT

MAP = (ROOT / "docs" / "one-run.md").read_text(encoding="utf-8")
FILES = sorted(set(re.findall(r"`((?:conf/)?[a-z_/]+\.(?:py|yaml))`", MAP)))


@pytest.mark.parametrize("name", FILES)
def test_the_map_of_a_run_names_files_that_are_there(name: str) -> None:
    assert (ROOT / name if name.startswith("conf/") else ROOT / "kdrun" / name).is_file()


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]), ids=lambda path: path.name
)
def test_the_rows_of_a_table_have_its_columns(path: Path) -> None:
    head = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            head = head or line
            assert line.count("|") - line.count(r"\|") == head.count("|"), line
        else:
            head = ""


def test_the_way_of_a_parameter_is_short() -> None:
    way = re.findall(r"^(\d+)\. `", MAP, re.MULTILINE)
    assert len(FILES) > 20
    assert [int(number) for number in way] == list(range(1, len(way) + 1))
    assert len(way) <= 20
