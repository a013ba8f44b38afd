"""Which runs words name, what is read of each, and why others are left out."""

import json
from pathlib import Path
from typing import Any

import pytest
from edits import edit_json

from benchmarks.synthetic_runs import write_run
from kdrun.compare.gather import gather
from kdrun.core.errors import UserError
from kdrun.core.lock import FolderLock
from kdrun.core.sweep import SweepFolder


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sweep(folder: Path, jobs: int = 3) -> Path:
    for seed in range(jobs):
        write_run(folder / str(seed), {"seed": seed})
    (folder / "multirun.yaml").touch()
    return folder


def summary(rows: list[Any]) -> str:
    return json.dumps(
        {"split": "test", "samples": 1, "epoch": "last", "dataset": "digits", "rows": rows}
    )


def names(*words: str) -> list[str]:
    return [str(run.path) for run in gather(words).runs]


def left_out(*words: str) -> dict[str, tuple[str, str]]:
    return {one.path.name: (one.kind, one.reason) for one in gather(words).left_out}


def edit(path: Path, **fields: Any) -> None:
    edit_json(path, **fields)


def test_runs_sweeps_and_globs_are_found_in_the_order_of_numbers(here):
    sweep(here / "s", 11)
    write_run(here / "one")
    assert names("one", "s")[:4] == ["one", "s/0", "s/1", "s/2"]
    assert names("s")[-2:] == ["s/9", "s/10"]
    assert names("s/1*") == ["s/1", "s/10"]
    assert names(str(here / "o*")) == [str(here / "one")]


def test_a_run_that_is_named_twice_counts_once(here):
    sweep(here / "s")
    (here / "again").symlink_to(here / "s" / "1")
    assert names("s", "s/1", str(here / "s/0"), "again") == ["s/0", "s/1", "s/2"]


def test_a_name_with_brackets_is_no_pattern(here):
    write_run(here / "student.hidden=[8]")
    assert names("student.hidden=[8]") == ["student.hidden=[8]"]


def test_the_store_is_no_run(here):
    write_run(here / "outputs" / "a")
    write_run(here / "outputs" / ".store" / "abc")
    assert names("outputs") == ["outputs/a"]


def test_a_run_is_read_without_the_keys_that_change_no_figure(here):
    values = {"seed": 7, "loss.temperature": 2.0, "student.hidden": [8, 4]}
    original = {"dataset.original": {"classes": 10, "channels": 1}}  # runs of before have none
    write_run(here / "a", {**values, **original, "search.trials": 3, "launcher.jobs": 2})
    (run,) = gather(["a"]).runs
    assert run.seed == 7
    assert run.config["loss.temperature"] == 2.0
    assert run.config["student.hidden"] == [8, 4]
    assert run.config["recipe.optimizer.betas"] == [0.9, 0.999]
    idle = {"seed", "name", "tags", "threads", "output_root", "dataset.root", "dataset.workers"}
    assert not idle & run.config.keys()
    assert not [key for key in run.config if key.startswith("dataset.original")]
    assert not [key for key in run.config if key.startswith(("evaluate", "search", "launcher"))]
    assert list(run.rows) == ["teacher", "alone", "distilled"]
    assert run.stages["teacher"] == run.rows["teacher"]["fingerprint"]
    assert run.sweep is None


def test_lists_of_parts_are_keys_of_their_own(here):
    write_run(here / "a", {"scheme.peers": [{"name": "mlp", "hidden": [4]}, {"name": "mlp"}]})
    (run,) = gather(["a"]).runs
    assert run.config["scheme.peers.0.hidden"] == [4]
    assert run.config["scheme.peers.1.name"] == "mlp"


def test_a_job_knows_its_sweep(here):
    sweep(here / "s", 1)
    (run,) = gather(["s"]).runs
    assert run.sweep == Path("s")


@pytest.mark.parametrize("status", ["failed", "interrupted", "pruned"])
def test_what_did_not_finish_is_left_out_with_its_error(here, status):
    write_run(here / "a", manifest={"status": status, "error": "loss became NaN"})
    assert left_out("a") == {"a": (status, f"{status}: loss became NaN")}


def test_what_did_not_finish_without_an_error_says_its_status_alone(here):
    write_run(here / "a", manifest={"status": "pruned", "error": None})
    assert left_out("a") == {"a": ("pruned", "pruned")}


def test_a_run_that_goes_on_is_told_from_one_that_crashed(here):
    write_run(here / "a", manifest={"status": "running"})
    assert left_out("a")["a"][0] == "crashed"
    with FolderLock(here / "a").acquire(wait=False):
        assert left_out("a")["a"][0] == "running"


def test_a_newer_format_is_left_out(here):
    write_run(here / "a", manifest={"format": 99, "seconds": "1 min", "config": []})
    kind, reason = left_out("a")["a"]
    assert kind == "newer"
    assert "format 99, this one reads up to 1" in reason


def test_a_finished_run_without_its_table_is_missing_it(here):
    (write_run(here / "a") / "summary.json").unlink()
    assert left_out("a")["a"][0] == "missing"


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("run.json", "{", "no JSON"),
        ("run.json", "[]", "no mapping"),
        ("run.json", "{}", "no 'format'"),
        ("run.json", '{"format": 1, "seed": "0"}', "'0' for 'seed', not a whole number"),
        ("summary.json", "{", "no JSON"),
        ("summary.json", "{}", "no 'split'"),
        ("summary.json", summary([]), "no figures"),
        ("summary.json", summary([1]), "1 for 'rows.0', not a mapping"),
        ("summary.json", summary([{"model": "a"}]), "no 'rows.0.agreement'"),
        ("summary.json", summary([{"model": 3}]), "3 for 'rows.0.model', not a text"),
    ],
)
def test_damaged_files_are_left_out_and_said(here, file, content, said):
    write_run(here / "a")
    write_run(here / "b")
    (here / "a" / file).write_text(content)
    kind, reason = left_out("a", "b")["a"]
    assert kind == "damaged"
    assert said in reason
    assert names("a", "b") == ["b"]


def test_a_row_without_its_leading_score_is_damage(here):
    rows = json.loads((write_run(here / "a") / "summary.json").read_text())["rows"]
    rows[0]["accuracy"] = None
    edit(here / "a" / "summary.json", rows=rows)
    assert left_out("a")["a"] == ("damaged", "its summary.json has no figures")


def test_rows_of_older_files_are_read(here):
    newer = ("validation", "nonzero", "first_epochs", "steps", "best")
    rows = json.loads((write_run(here / "a") / "summary.json").read_text())["rows"]
    old = [{key: row[key] for key in row if key not in newer} for row in rows]
    edit(here / "a" / "summary.json", rows=old)
    assert names("a") == ["a"]


def test_a_manifest_without_a_config_takes_it_from_its_file(here):
    write_run(here / "a", manifest={"config": None})
    assert left_out("a")["a"][0] == "damaged"
    (here / "a" / "config.yaml").write_text("seed: 0\nloss: {name: kd}\n")
    (run,) = gather(["a"]).runs
    assert run.config == {"loss.name": "kd"}


def test_a_path_that_is_not_there_names_the_nearest(here):
    write_run(here / "outputs" / "first")
    with pytest.raises(UserError, match="there is no 'outputs/frist'") as error:
        gather(["outputs/frist"])
    assert error.value.lines[1] == "  nearest: outputs/first"
    with pytest.raises(UserError, match=r"there is no 'x[*]y'"):
        gather(["x*y"])


def test_folders_without_runs_and_files_are_mistakes(here):
    (here / "empty").mkdir()
    with pytest.raises(UserError, match="no run is in 'empty', nor below it"):
        gather(["empty"])
    write_run(here / "a")
    with pytest.raises(UserError, match=r"'a/run.json' is a file") as error:
        gather(["a/run.json"])
    assert "name its run's folder: a" in error.value.lines[1]


def test_jobs_of_a_sweep_that_never_began_are_left_out_by_name(here):
    sweep(here / "s", 1)
    job = {"number": 0, "folder": "0", "words": [], "differs": {}}
    SweepFolder(here / "s").write(
        command="kdrun", words=[], working_folder=".", launcher=[], at_once=1, jobs=[]
    )
    index = here / "s" / "sweep.json"
    edit(index, jobs=[job, {**job, "number": 1, "folder": "1-seed=1"}])
    assert left_out("s") == {"1-seed=1": ("not started", "not started")}
    assert left_out("s/0") == {}
    index.write_text("{}")
    assert left_out("s")["s"][0] == "damaged"
