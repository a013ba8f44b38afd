"""The examples of docs/plugins.md run as they are written, one for each kind of part."""

import json
import re
import shlex
from pathlib import Path

import pytest
from forked import ROOT
from tiny import TINY, Kdrun

from kdrun.core.plugins import TABLES

TEXT = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"```python\n(# (\w+)\.py\n.*?)```\n\n```sh\nkdrun (.*?)\n```", re.DOTALL)
EXAMPLES = {module: (text, command) for text, module, command in EXAMPLE.findall(TEXT)}
QUICK = [
    *(word for word in TINY if not word.startswith(("teacher", "student"))),
    "recipe.epochs=1",
    "compress.calibration=32",
]


def test_there_is_an_example_for_each_table():
    tables = [re.findall(r"^([A-Z]+) = \{", text, re.MULTILINE) for text, _ in EXAMPLES.values()]
    assert sorted(tables) == sorted([table] for table in TABLES)


def test_the_documented_tables_are_those_of_kdrun():
    assert set(re.findall(r"^\| `([A-Z]+)` \|", TEXT, re.MULTILINE)) == set(TABLES)


@pytest.mark.parametrize("module", EXAMPLES)
def test_an_example_runs(module: str, kdrun: Kdrun, tmp_path: Path):
    text, command = EXAMPLES[module]
    (tmp_path / f"{module}.py").write_text(text, encoding="utf-8")
    words = shlex.split(command)
    quick = [word for word in QUICK if word.partition("=")[0] not in command]
    controls = [] if "controls" in command else ["controls=[]"]
    said = kdrun(*words, *quick, *controls, PYTHONPATH=f"{tmp_path}:{ROOT}").stdout
    assert f"plugins: {module}" in said
    (summary,) = tmp_path.rglob("summary.json")
    assert any(row["model"] == "distilled" for row in json.loads(summary.read_text())["rows"])
