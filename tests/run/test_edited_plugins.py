"""A plugin's code counts in the fingerprints of the stages that use it, and of no others."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from edits import edit_json
from hydra.core.config_store import ConfigStore
from plans import prints, run_to
from tiny import TINY

from kdrun.check.finished_run import read_run
from kdrun.check.preflight import check
from kdrun.config.compose import compose_runs
from kdrun.config.loader import install_named_plugins
from kdrun.core.errors import UserError
from kdrun.core.folder import RunFolder
from kdrun.core.plugins import KINDS, table_of
from kdrun.run.plan import Plan

MODULE = """
import torch
from torch import nn
from kdrun.loss.logits import KD
from kdrun.scheme.base import Scheme

MODELS = {"wave": "wave_plugin:Wave"}
LOSSES = {"wave_kd": "wave_plugin:WaveKD"}
SCHEMES = {"wave_scheme": "wave_plugin:WaveScheme"}

class Wave(nn.Module):
    def __init__(self, num_classes, in_channels, image_size) -> None:
        super().__init__()
        self.body = nn.Linear(in_channels * image_size[0] * image_size[1], 32)
        self.head = nn.Linear(32, num_classes)

    def forward(self, images):
        return self.head(torch.relu(self.body(images.flatten(1))))

class WaveKD(KD):
    def __init__(self) -> None:
        super().__init__(0.9, 4.0)

class WaveScheme(Scheme):
    pass
"""
PLUGINS = "plugins=[wave_plugin]"
MODEL = (PLUGINS, "teacher=wave", *(word for word in TINY if not word.startswith("teacher")))

Write = Callable[[str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write the plugin as a new process finds it; put kdrun's tables back at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    tables = [table_of(kind) for kind in KINDS]
    before = [dict(table) for table in tables]

    def write_module(text: str) -> None:
        (tmp_path / "wave_plugin.py").write_text(text, encoding="utf-8")
        sys.modules.pop("wave_plugin", None)
        assert install_named_plugins([PLUGINS]) == []

    write_module(MODULE)
    yield write_module
    sys.modules.pop("wave_plugin", None)
    for table, content in zip(tables, before, strict=True):
        table.clear()
        table.update(content)
    groups = ConfigStore.instance().repo
    for group in ("model", "teacher", "student", "loss", "scheme"):
        for name in [name for name in groups.get(group, {}) if name.startswith("wave")]:
            del groups[group][name]


def planned(*words: str) -> Plan:
    (job,) = compose_runs(words, multirun=False)
    assert not job.faults
    return check(job.tree)


def changed_stages(write: Write, *words: str) -> list[str]:
    """The stages whose fingerprints an edit of the plugin changes."""
    write(MODULE)
    before = prints(planned(*words))
    write(MODULE + "\nx = 1\n")
    after = prints(planned(*words))
    return [stage for stage in before if before[stage] != after[stage]]


def test_an_edit_counts_in_the_stages_that_use_a_component_and_in_their_readers(
    write: Write,
) -> None:
    assert changed_stages(write, *MODEL) == ["teacher", "distill"]
    assert changed_stages(write, *TINY, PLUGINS, "loss=wave_kd") == ["distill"]
    combined = ("loss=combined", "loss.terms={wave_kd: {}}")
    assert changed_stages(write, *TINY, PLUGINS, *combined) == ["distill"]
    scheme = changed_stages(write, *TINY, PLUGINS, "scheme=wave_scheme")
    assert scheme == ["teacher", "alone", "distill"]


def test_a_plugin_that_is_not_used_changes_nothing(write: Write) -> None:
    assert prints(planned(*TINY, PLUGINS)) == prints(planned(*TINY))


def test_a_teacher_whose_forward_was_edited_is_trained_anew(write: Write) -> None:
    run_to(Path("first"), base=MODEL)
    write(MODULE.replace("torch.relu", "torch.cos"))
    second = run_to(Path("second"), base=MODEL)
    entry = RunFolder(second).manifest()["stages"]["teacher"]
    assert not entry["from_store"]
    again = RunFolder(run_to(Path("third"), base=MODEL)).manifest()["stages"]["teacher"]
    assert again["from_store"]


def test_a_run_does_not_go_on_with_an_edited_plugin(write: Write) -> None:
    first = run_to(Path("first"), base=MODEL)
    run_to(first, base=MODEL)
    write(MODULE + "\nx = 1\n")
    folder = RunFolder(first)
    for go_on in (
        lambda: run_to(first, base=MODEL),
        lambda: read_run(folder, folder.config()),
    ):
        with pytest.raises(UserError, match="the code of the plugin 'wave_plugin' is not the one"):
            go_on()
    assert folder.status == "finished"


def test_a_run_of_an_older_kdrun_goes_on_and_says_that_the_code_is_unknown(
    write: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr("kdrun.check.preflight.plugin_codes", lambda modules, tree: {})
        first = run_to(Path("first"), base=MODEL)
    edit_json(first / "run.json", lambda manifest: manifest.pop("plugins"))
    before = {path: path.stat().st_mtime_ns for path in first.glob("*/artefact.json")}
    capsys.readouterr()
    run_to(first, base=MODEL)
    said = capsys.readouterr().out
    assert said.count("did not record the code of wave_plugin") == 1
    assert {path: path.stat().st_mtime_ns for path in first.glob("*/artefact.json")} == before
