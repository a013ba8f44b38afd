"""The examples of docs/plugins.md run as they are written, one for each kind of part."""

import json
import re
import shlex
from pathlib import Path

import pytest
from forked import ROOT
from tiny import TINY, Kdrun

from kdrun.core.plugins import KINDS

TABLES = [kind.table for kind in KINDS.values()]
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


def test_a_plugins_format_serves_runs_that_are_finished(kdrun: Kdrun, tmp_path: Path):
    (tmp_path / "my_format.py").write_text(EXAMPLES["my_format"][0], encoding="utf-8")
    kdrun("plugins=[my_format]", *TINY, "recipe.epochs=1", "controls=[]")
    (run,) = tmp_path.glob("outputs/20*/*")
    said = kdrun("export", str(run), "--to", "pt2gz", "plugins=[my_format]").stdout
    assert f"{run}/export/student.pt2gz" in said
    assert (run / "export" / "student.pt2gz").exists()


@pytest.mark.parametrize(
    ("module", "kind", "line"),
    [
        ("my_loss", "losses", "agree                 Agree: cross-entropy with the labels, and"),
        ("my_model", "models", "two_layers            One hidden layer"),
        ("my_scheme", "schemes", "from_control          From control: the student learns from"),
        ("my_dataset", "datasets", "stripes               Dark and bright images, by turns"),
        ("my_step", "steps", "clip_weights          Clip the weights of each layer at a"),
    ],
)
def test_parts_of_plugins_are_listed(
    module: str, kind: str, line: str, kdrun: Kdrun, tmp_path: Path
):
    (tmp_path / f"{module}.py").write_text(EXAMPLES[module][0], encoding="utf-8")
    assert f"  {line}" in kdrun("list", kind, f"plugins=[{module}]").stdout
    assert line not in kdrun("list", kind).stdout


def test_a_card_has_the_sections_and_settings_of_a_plugins_loss(kdrun: Kdrun, tmp_path: Path):
    (tmp_path / "my_loss.py").write_text(EXAMPLES["my_loss"][0], encoding="utf-8")
    card = kdrun("show", "loss=agree", "plugins=[my_loss]").stdout
    for line in (
        "(1 - alpha) CE(y, z_s) + alpha CE(argmax z_t, z_s), averaged over the batch.",
        "- a teacher of the same classes",
        "defaults (my_loss:Agree)",
        "  name: agree\n  alpha: 0.5",
    ):
        assert line in card


def test_a_card_has_the_settings_of_a_plugins_scheme(kdrun: Kdrun, tmp_path: Path):
    (tmp_path / "my_scheme.py").write_text(EXAMPLES["my_scheme"][0], encoding="utf-8")
    card = kdrun("show", "scheme=from_control", "plugins=[my_scheme]").stdout
    assert "defaults (my_scheme:FromControl)\n  name: from_control" in card
