"""Records of artefacts that were changed, without a sum that would tell: a sentence each."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from edits import edit_json
from tiny import TINY, Told

from kdrun.check.preflight import check
from kdrun.config.compose import compose_runs
from kdrun.core.screen import Screen
from kdrun.run.runner import run as run_stages

CHANGES: list[dict[str, Any]] = [
    {"model": None},
    {"model": {}},
    {"sums": None},
    {"sums": {}},
    {"format": "x"},
    {"data": []},
    {"data.classes": 5},
    {"changes": "x"},
    {"changes": ["x"]},
]
OF_A_TEACHER: list[dict[str, Any]] = [
    {"data.origin": {}},
    {"data.origin": {"held_out": 5}},
    {"trained_on": {}},
    {"validation": {}},
]
OF_A_NETWORK: list[dict[str, Any]] = [
    {"changes": [{}]},
    {"changes": [{"name": ["x"]}]},
    {"changes": [{"name": "x"}]},
    {"changes": [{"name": "fold", "x": 1}]},
    {"changes": [{"name": "low_rank"}]},
    {"model.name": 5},
    {"model.hidden": "x"},
    {"model.hidden": [9]},
    {"model.hidden": [2**40]},
    {"model.hidden": [2**62, 2**62]},
    {"data.image_size": [8]},
    {"data.channels": 2**40},
    {"data.merge": {"known": 5}},
    {"data": {"classes": []}},
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, to be copied."""
    root = tmp_path_factory.mktemp("finished")
    (job,) = compose_runs([*TINY, "recipe.epochs=1", f"output_root={root}"], multirun=False)
    run_stages(check(job.tree), root / "run", Screen(), "kdrun")
    return root / "run"


def change(path: Path, fields: dict[str, Any]) -> None:
    """Set values of a record, by their dotted keys."""

    def set_all(record: dict[str, Any]) -> None:
        for where, value in fields.items():
            *parents, key = where.split(".")
            node = record
            for parent in parents:
                node = node[parent]
            node[key] = value

    edit_json(path, set_all)


@pytest.mark.parametrize("fields", [*CHANGES, *OF_A_TEACHER], ids=str)
def test_a_teacher_of_another_record_is_refused(
    fields: dict[str, Any], finished: Path, tmp_path: Path, told: Told
) -> None:
    shutil.copytree(finished, tmp_path / "old")
    change(tmp_path / "old/teacher/artefact.json", fields)
    status, said = told(*TINY, "recipe.epochs=1", "teacher.run=old")
    assert status in (2, 9), said
    assert "old/teacher/artefact.json'" in said or "old/teacher/weights" in said
    assert "fault of kdrun" not in said


@pytest.mark.parametrize("fields", [*CHANGES, *OF_A_NETWORK], ids=str)
def test_a_network_of_another_record_is_not_exported(
    fields: dict[str, Any], finished: Path, tmp_path: Path, told: Told
) -> None:
    shutil.copytree(finished, tmp_path / "old")
    change(tmp_path / "old/student/artefact.json", fields)
    status, said = told("export", "old", "--to", "pt2")
    assert status in (2, 7, 9), said
    assert "fault of kdrun" not in said
    assert not list((tmp_path / "old").glob("export/*.pt2"))


@pytest.mark.parametrize("fields", [{"validation": {}}, {"model.hidden": "x"}], ids=str)
def test_an_artefact_of_a_store_with_another_record_is_made_anew(
    fields: dict[str, Any], finished: Path, tmp_path: Path, told: Told
) -> None:
    shutil.copytree(finished.parent, tmp_path / "root")
    for path in (tmp_path / "root/.store").glob("*/artefact.json"):
        change(path, fields)
    status, said = told(*TINY, "recipe.epochs=1", "output_root=root")
    assert status == 0, said
    assert "is damaged; it is kept as" in " ".join(said.split())
