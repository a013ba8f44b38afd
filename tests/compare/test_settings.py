"""Runs in settings over seeds; what compares, and each reason why something doesn't."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic_runs import write_run
from kdrun.compare.gather import gather
from kdrun.compare.settings import Group, group


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, *jobs: dict[str, Any], **told: Any) -> None:
    """A run for each job's values, seeds 0 and 1."""
    count = len(list(folder.iterdir())) if folder.exists() else 0
    for values in jobs:
        for seed in (0, 1):
            write_run(folder / str(count), {"seed": seed, **values}, **told)
            count += 1


def groups(*words: str, asked: tuple[str, ...] = ()) -> list[Group]:
    return group(gather(words or ["."]).runs, asked)[0]


def labels(one: Group) -> list[str]:
    return [setting.label for setting in one.settings]


def test_runs_that_differ_in_the_seed_alone_are_one_setting(here):
    write(here / "a", {"loss.temperature": 4}, {"loss.temperature": 4.0, "threads": 2})
    ((one,), repeated) = group(gather(["."]).runs, ())
    assert one.differing == []
    assert labels(one) == [""]
    assert list(one.settings[0].runs) == [0, 1]
    assert [left.kind for left in repeated] == ["repeated", "repeated"]


def test_only_keys_that_differ_tell_settings_apart(here):
    temperatures = [{"loss.temperature": value} for value in (10, 2, 1.5)]
    write(here / "a", *temperatures)
    (one,) = groups()
    assert one.differing == ["loss.temperature"]
    assert labels(one) == [f"loss.temperature={value}" for value in ("1.5", "2", "10")]


def test_of_a_seed_that_was_run_twice_the_later_run_counts(here):
    write_run(here / "a", manifest={"started": "2026-11-21T21:00:00+00:00"})
    write_run(here / "b", manifest={"started": "2026-11-20T21:00:00+00:00"})
    ((one,), (left,)) = group(gather(["."]).runs, ())
    assert [str(run.path) for run in one.settings[0].runs.values()] == ["a"]
    assert str(left.path) == "b"
    assert "the same setting and seed as a" in left.reason


def test_keys_that_follow_from_a_name_are_not_shown(here):
    write(here / "a", {"loss.name": "kd"}, {"loss.name": "dkd", "loss.alpha": 1.0, "loss.beta": 8})
    (one,) = groups()
    assert one.differing == ["loss.name"]
    assert labels(one) == ["loss=dkd", "loss=kd"]


def test_keys_that_a_name_does_not_tell_are_shown_beside_it(here):
    both = [{"loss.name": name, "loss.alpha": share} for name in ("kd", "x") for share in (0, 1)]
    write(here / "a", *both)
    assert groups()[0].differing == ["loss.name", "loss.alpha"]


def test_a_key_that_only_some_have_tells_where_nothing_else_does(here):
    write(here / "a", {}, {"loss.decay": 0.1})
    (one,) = groups()
    assert one.differing == ["loss.decay"]
    assert sorted(labels(one)) == ["loss.decay=0.1", "no loss.decay"]


CONDITIONS = [
    ({"values": {"dataset.name": "mnist"}}, "Another dataset", "dataset=mnist, not digits"),
    ({"values": {"dataset.classes": [1, 2]}}, "Another dataset", "dataset.classes=[1,2], not null"),
    ({"values": {"dataset.split_seed": 1}}, "Another split", "dataset.split_seed=1, not 0"),
    ({"values": {"dataset.test": 0.5}}, "Another split", "dataset.test=0.5, not 0.2"),
    ({"summary": {"samples": 7}}, "Another split", "samples=7, not 360"),
    ({"summary": {"held_out": "x"}}, "Another split", "held-out images=x, not digits-0"),
    ({"values": {"recipe.epochs": 60}}, "Another recipe", "recipe.epochs=60, not 30"),
    ({"values": {"dataset.subset": 100}}, "Another recipe", "dataset.subset=100, not null"),
    ({"values": {"teacher.hidden": [8]}}, "Another teacher", "teacher.hidden=[8], not [64]"),
    ({"manifest": {"format": 0}}, "A run folder of another format", "format=0, not 1"),
    ({"latency": {"runtime": "onnxruntime"}}, "Latency", "runtime=onnxruntime, not eager PyTorch"),
    ({"latency": {"device": "NVIDIA H200"}}, "Latency", "device=NVIDIA H200, not cpu"),
    ({"latency": {"threads": 2}}, "Latency", "threads=2, not 1"),
    ({"latency": {"batch": 32}}, "Latency", "batch=32, not 1"),
]


@pytest.mark.parametrize(("change", "opening", "told"), CONDITIONS)
def test_what_does_not_compare_is_told_apart_with_its_reason(here, change, opening, told):
    write(here / "a", {"loss.temperature": 1}, {"loss.temperature": 2})
    values = change.pop("values", {})
    write(here / "b", values, **change)
    change["values"] = values  # parameters are shared
    first, second = groups()
    assert first.reasons == []
    assert len(first.settings) == 2
    (reason,) = second.reasons
    assert reason.startswith(opening)
    assert told in reason
    assert "than table 1" in reason or "otherwise" in reason


def test_several_reasons_are_several_sentences(here):
    write(here / "a", {}, {"loss.alpha": 0.1})
    write(here / "b", {"dataset.name": "mnist", "teacher.hidden": [8], "recipe.lr": 1})
    openings = [reason.partition(" than")[0] for reason in groups()[1].reasons]
    assert openings == ["Another dataset", "Another recipe", "Another teacher"]


def test_of_many_keys_a_reason_names_a_few(here):
    other = {f"recipe.{key}": 9 for key in ("epochs", "batch_size", "lr", "select")}
    write(here / "a", {}, {"loss.alpha": 0.1})
    write(here / "b", other)
    (reason,) = groups()[1].reasons
    assert reason.endswith("; recipe.lr=9, not 0.002, and 1 more key.")


@pytest.mark.parametrize("key", ["recipe.epochs", "teacher.hidden", "dataset.subset"])
def test_what_one_sweep_varies_is_compared_rather_than_told_apart(here, key):
    jobs = [{key: value} for value in (100, 200)]
    write(here / "a", *jobs)
    assert len(groups()) == 2
    (here / "a" / "multirun.yaml").touch()
    (one,) = groups()
    assert one.differing == [key]


def test_what_the_user_compares_by_is_compared_too(here):
    write(here / "a", *[{"recipe.epochs": value} for value in (30, 60)])
    assert len(groups()) == 2
    assert len(groups(asked=("recipe.epochs",))) == 1


@pytest.mark.parametrize(
    ("key", "values"), [("dataset.name", ("digits", "mnist")), ("dataset.split_seed", (1, 2))]
)
def test_test_images_are_never_compared_with_others_even_in_one_sweep(here, key, values):
    write(here / "a", *[{key: value} for value in values])
    (here / "a" / "multirun.yaml").touch()
    assert len(groups(asked=(key,))) == 2


def test_older_latencies_that_do_not_say_their_runtime_are_of_pytorch(here):
    write(here / "a", {"loss.alpha": 0.1})
    write(here / "a", {"loss.alpha": 0.5})
    path = here / "a" / "3" / "summary.json"
    path.write_text(path.read_text().replace('"runtime": "eager PyTorch"', '"x": 0'))
    assert len(groups()) == 1


def test_older_runs_that_do_not_say_their_images_compare_with_the_only_ones_there_are(here):
    write(here / "a", {"loss.alpha": 0.1})
    write(here / "a", {"loss.alpha": 0.5}, summary={"held_out": None})
    assert len(groups()) == 1
    write(here / "b", {}, summary={"held_out": "others"})
    assert len(groups()) == 3


def test_the_table_with_most_runs_is_the_first(here):
    write(here / "a", {"dataset.name": "mnist"})
    write(here / "b", {}, {"loss.alpha": 0.1})
    assert [len(one.settings) for one in groups()] == [2, 1]


def test_gpus_of_one_kind_are_one_device(here):
    write_run(here / "a", {"device": "cuda:0", "seed": 0})
    write_run(here / "b", {"device": "cuda:1", "seed": 1})
    assert [len(one.settings) for one in groups()] == [1]


def given(fingerprint: str) -> dict[str, Any]:
    """A teacher from a path, where there was this one when the run began."""
    stages = {"teacher": {"fingerprint": fingerprint, "seconds": 0.1, "from_store": False}}
    return {"values": {"teacher.run": "t", "seed": 0}, "manifest": {"stages": stages}}


def test_another_teacher_at_the_same_path_is_told_apart(here):
    write_run(here / "a", **given("x"))
    write_run(here / "b", **given("y"))
    found, repeated = group(gather(["."]).runs, ())
    assert repeated == []
    assert [len(one.settings) for one in found] == [1, 1]
    assert found[1].reasons == ["Another teacher than table 1: teacher.fingerprint=y, not x."]


def test_teachers_that_are_trained_differ_by_seed_and_are_one_setting(here):
    write(here / "a", {})
    ((one,), _) = group(gather(["."]).runs, ())
    assert [len(setting.runs) for setting in one.settings] == [2]


def test_the_fingerprint_is_shown_only_where_no_key_tells_which_teacher(here):
    for mark in ("x", "y"):
        told = given(mark)
        told["values"]["teacher.run"] = f"runs/{mark}"
        write_run(here / "a" / mark, **told)
    (here / "a" / "multirun.yaml").touch()
    assert groups()[0].differing == ["teacher.run"]
    write_run(here / "a" / "z", **given("z") | {"values": {"teacher.run": "runs/x", "seed": 0}})
    assert groups()[0].differing == ["teacher.run", "teacher.fingerprint"]
