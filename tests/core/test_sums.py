"""Records and results carry sums, so that a changed figure is seen wherever it is read."""

import json
import math
from pathlib import Path

import pytest
from report_runs import seal, write_run

from kdrun.core.errors import DamagedFile
from kdrun.core.folder import RunFolder
from kdrun.core.json_file import read_json, write_json

RECORD = {"format": 1, "rows": [{"accuracy": 0.5}, {2: 1.0, 10: -0.0}], "text": "é\ud800"}


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", RECORD)
    assert read_json(tmp_path / "a.json") == json.loads(json.dumps(RECORD))


def test_json_is_valid_also_with_nan(tmp_path: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    path = tmp_path / "values.json"
    value = {"b": [1, math.nan], "a": {"c": (math.inf, -math.inf, 1.5)}, "é": None}
    write_json(path, value)
    loaded = json.loads(path.read_text(), parse_constant=refuse)
    assert read_json(path) == {"b": [1, None], "a": {"c": [None, None, 1.5]}, "é": None}
    assert list(loaded) == ["b", "a", "é", "sum"]


def test_a_record_without_a_sum_is_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"format": 1}')
    assert read_json(tmp_path / "a.json") == {"format": 1}


def test_white_space_of_a_record_is_free(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", RECORD)
    text = json.dumps(json.loads((tmp_path / "a.json").read_text()), indent=8)
    (tmp_path / "a.json").write_text(text)
    assert read_json(tmp_path / "a.json") is not None


@pytest.mark.parametrize("change", [("0.5", "0.6"), ("accuracy", "accurate"), ('"format": 1,', "")])
def test_a_changed_record_is_damaged(change: tuple[str, str], tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", RECORD)
    text = (tmp_path / "a.json").read_text()
    assert change[0] in text
    (tmp_path / "a.json").write_text(text.replace(*change))
    with pytest.raises(DamagedFile, match=r"a\.json' is not what kdrun wrote"):
        read_json(tmp_path / "a.json")


def test_a_finished_run_knows_the_sums_of_its_files(tmp_path: Path) -> None:
    run = RunFolder(seal(write_run(tmp_path / "run")))
    run.check_files(run.manifest())
    assert {*run.manifest()["sums"]} == {
        *("summary.json", "metrics.jsonl", "predictions.npz", "examples.npz")
    }


@pytest.mark.parametrize("name", ["summary.json", "metrics.jsonl", "predictions.npz"])
@pytest.mark.parametrize("how", ["gone", "cut", "of another run"])
def test_a_file_that_is_not_the_runs_is_damage(name: str, how: str, tmp_path: Path) -> None:
    run = RunFolder(seal(write_run(tmp_path / "run")))
    other = seal(write_run(tmp_path / "other", accuracy=0.7))
    path = run.path / name
    if how == "of another run":
        path.write_bytes((other / name).read_bytes() + b"\n" * (name == "predictions.npz"))
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        path.unlink()
    with pytest.raises(DamagedFile, match=f"{name}' is not what its run wrote"):
        run.check_files(run.manifest())
