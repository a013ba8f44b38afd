"""How many jobs run at the same time, and so how many threads each has."""

import pytest

from kdrun.config.compose import compose_runs
from kdrun.sweep import parallel_jobs
from kdrun.sweep.parallel_jobs import (
    choose_launcher,
    count_parallel,
    faults_of_jobs,
    jobs_that_fit,
)


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_jobs, "count_cores", lambda: 8)
    monkeypatch.setattr(parallel_jobs, "allowed_cores", lambda: 8)


@pytest.mark.parametrize(
    ("launcher", "jobs", "expected"),
    [
        ({"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}, 9, 1),
        ({"_target_": "x.JoblibLauncher", "n_jobs": 3}, 9, 3),
        ({"_target_": "x.JoblibLauncher", "n_jobs": 3}, 2, 2),
        ({"_target_": "x.JoblibLauncher", "n_jobs": -1}, 9, 8),
        ({"_target_": "x.JoblibLauncher", "n_jobs": -3}, 9, 6),
        ({"_target_": "x.JoblibLauncher", "n_jobs": -30}, 9, 1),
        ({"_target_": "x.LocalLauncher", "cpus_per_task": None}, 9, 9),
        ({"_target_": "x.SlurmLauncher", "array_parallelism": 256}, 9, 1),
        ({"_target_": "x.RayLauncher", "ray": {"init": {"num_cpus": 4}, "remote": {}}}, 9, 4),
        ({"_target_": "x.RayLauncher", "ray": {"init": {}, "remote": {"num_cpus": 2}}}, 9, 4),
        ({"_target_": "x.RayLauncher", "ray": {"init": {"num_cpus": None}}}, 9, 8),
    ],
)
def test_so_many_jobs_run_at_once(launcher: dict, jobs: int, expected: int) -> None:
    assert count_parallel(launcher, jobs) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["hydra/launcher=joblib"], 4),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], 2),
        (["hydra/launcher=submitit_local"], 4),
        ([], 1),
    ],
)
def test_the_launcher_is_read_as_hydra_composes_it(words: list[str], expected: int) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    jobs = compose_runs(["seed=0,1,2,3", *words], multirun=True)
    assert count_parallel(jobs[0].launcher, len(jobs)) == expected


def test_a_launcher_of_a_config_file_is_seen(tmp_path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/wide.yaml").write_text(
        "# @package _global_\n"
        "defaults: [{override /hydra/launcher: joblib}]\n"
        "hydra: {launcher: {n_jobs: 3}}\n"
    )
    words = ["experiment=wide", "seed=0,1,2,3"]
    jobs = compose_runs(words, multirun=True, folders=[str(tmp_path)])
    assert [job.faults for job in jobs] == [()] * 4
    assert count_parallel(jobs[0].launcher, len(jobs)) == 3


BASIC = {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}
GIB = 2**30


@pytest.mark.parametrize(
    ("setting", "jobs", "expected"),
    [
        (1, 9, ([], 1)),
        (4, 9, (["hydra/launcher=joblib", "hydra.launcher.n_jobs=4"], 4)),
        (4, 3, (["hydra/launcher=joblib", "hydra.launcher.n_jobs=3"], 3)),
        ("auto", 99, (["hydra/launcher=joblib", "hydra.launcher.n_jobs=8"], 8)),
        ("auto", 2, (["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], 2)),
    ],
)
def test_a_number_of_jobs_is_joblib_in_few_words(setting, jobs, expected) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    assert choose_launcher(setting, BASIC, jobs) == expected


def test_a_number_of_jobs_beside_another_launcher_is_refused() -> None:
    (fault,) = faults_of_jobs(4, {"_target_": "x.SlurmLauncher"})
    assert (
        str(fault)
        == "launcher.jobs: selects a launcher, but SlurmLauncher is selected too; keep one"
    )


def test_a_number_of_jobs_without_joblib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_jobs, "find_spec", lambda name: None)
    (fault,) = faults_of_jobs("auto", BASIC)
    assert str(fault) == "launcher.jobs: needs an extra: pip install 'kdrun[sweep]'"


@pytest.mark.parametrize(
    ("free", "peak", "jobs", "expected"),
    [
        (80, 2, 99, 8),  # of 72 GiB, 24 jobs of 2 + 1; there are eight cores
        (20, 2, 99, 6),
        (20, 2, 4, 4),
        (20, 7, 99, 2),
        (20, 40, 99, 1),
    ],
)
def test_as_many_jobs_as_the_memory_holds(free, peak, jobs, expected) -> None:
    assert jobs_that_fit(free * GIB, peak * GIB, jobs) == expected
