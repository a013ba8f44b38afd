"""Which jobs of a sweep are composed and checked in full, and which sweeps are refused."""

import pytest

from kdrun.config import sweep_jobs
from kdrun.config.compose import compose_runs
from kdrun.config.sweep_jobs import compose_sweep
from kdrun.core import limits
from kdrun.core.errors import TooManyJobs, UserError


def test_jobs_that_differ_in_numbers_alone_have_the_configs_that_hydra_composes() -> None:
    words = ["loss=kd,dkd", "loss.temperature=2,4.5", "seed=0,1", "recipe.lr=0.1"]
    sweep = compose_sweep(words)
    full, composed = [job.tree for job in sweep.full], compose_runs(words, multirun=True)
    assert sweep.settings == [run.settings for run in composed]
    assert len(full) == 3  # each loss and each temperature; a seed changes nothing
    assert len(sweep.similar) == len(composed) - 3
    trees = [run.tree for run in composed]
    assert all(tree in trees for tree in [*full, *sweep.similar])
    assert all(tree in [*full, *sweep.similar] for tree in trees)


def test_each_job_with_a_new_name_or_number_is_checked_in_full() -> None:
    sweep = compose_sweep(["student=mlp", "loss=kd,dkd", "student.hidden=[4],[8]", "recipe.lr=1,2"])
    assert [job.settings for job in sweep.full][:2] == [
        ("student=mlp", "loss=kd", "student.hidden=[4]", "recipe.lr=1"),
        ("student=mlp", "loss=kd", "student.hidden=[4]", "recipe.lr=2"),
    ]
    assert len(sweep.full) == 5 and not any(job.faults for job in sweep.full)


def test_many_different_jobs_are_not_all_composed_before_the_first_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweep_jobs, "_NEW_TEXTS", 2)
    assert len(compose_sweep(["student=mlp", "student.hidden=[1],[2],[3],[4]"]).full) == 2
    sweep = compose_sweep(["recipe.lr=range(1,31)"])
    assert (len(sweep.full), len(sweep.similar)) == (11, 19)


def test_check_composes_all_jobs() -> None:
    assert len(compose_sweep(["seed=range(0,4)", "check=true"]).full) == 4


def test_the_check_of_many_jobs_is_announced() -> None:
    said: list[str] = []
    compose_sweep(["seed=range(0,101)"], say=said.append)
    assert said == ["101 jobs; their settings are checked before the first one starts"]


@pytest.mark.parametrize(
    "words",
    [
        ["seed=range(0,100000)"],
        ["seed=range(0,1e300,1e-9)"],
        ["seed=range(0,101)", "split_seed=range(0,100)"],
    ],
)
def test_more_jobs_than_a_sweep_may_have_are_refused_before_they_are_made(words: list[str]) -> None:
    with pytest.raises(TooManyJobs, match=f"a sweep has {limits.JOBS:,} at most") as error:
        compose_sweep(words)
    assert error.value.status == 3


def test_a_range_without_values_is_refused() -> None:
    with pytest.raises(UserError, match="make no job"):
        compose_sweep(["seed=range(0,0)"])
