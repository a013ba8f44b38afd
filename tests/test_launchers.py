"""How many jobs run at the same time, and so how many threads each has."""

import pytest

from kdrun import launchers
from kdrun.launchers import at_once
from kdrun.words import read_jobs


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launchers, "cores", lambda: 8)


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
    assert at_once(launcher, jobs) == expected


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
    jobs = read_jobs(["seed=0,1,2,3", *words], multirun=True)
    assert at_once(jobs[0].launcher, len(jobs)) == expected


def test_a_launcher_of_a_config_file_is_seen(tmp_path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/wide.yaml").write_text(
        "# @package _global_\n"
        "defaults: [{override /hydra/launcher: joblib}]\n"
        "hydra: {launcher: {n_jobs: 3}}\n"
    )
    words = ["experiment=wide", "seed=0,1,2,3"]
    jobs = read_jobs(words, multirun=True, folders=[str(tmp_path)])
    assert [job.faults for job in jobs] == [()] * 4
    assert at_once(jobs[0].launcher, len(jobs)) == 3
