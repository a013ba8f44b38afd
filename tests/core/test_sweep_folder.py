"""A sweep's index: what is in it, what jobs are called, what of it is refused."""

import json
from pathlib import Path

import pytest

from kdrun.core.errors import DamagedFile, UserError
from kdrun.core.sweep import NOT_STARTED, SweepFolder, SweepJob, find_sweeps, job_folder

WHOLE = {"command": "kdrun -m", "words": [], "working_folder": "", "launcher": [], "at_once": 1}


@pytest.mark.parametrize(
    ("number", "count", "settings", "name"),
    [
        (3, 4, {"loss.temperature": "4", "seed": "1"}, "3-loss.temperature=4,seed=1"),
        (3, 36, {"seed": "1"}, "03-seed=1"),
        (9, 10, {"seed": "1"}, "9-seed=1"),
        (0, 1, {}, "0"),
        (0, 2, {"teacher.run": "../a b/c"}, "0-teacher.run=.._a_b_c"),
        (0, 2, {"student.hidden": "[8,4]"}, "0-student.hidden=_8,4"),
        (0, 2, {"loss.weights": "{ce: 1.0, kd: 2.0}"}, "0-loss.weights=_ce_1.0,_kd_2.0"),
        (0, 2, {"name": "été\n/"}, "0-name=_t"),
        (0, 2, {"name": "/"}, "0-name"),
    ],
)
def test_a_job_is_called_by_its_number_and_what_differs(number, count, settings, name) -> None:
    assert job_folder(number, count, settings) == name


def test_names_are_bounded_and_numbers_keep_them_apart() -> None:
    names = {job_folder(number, 100, {"tags": "a" * 500}) for number in range(100)}
    assert len(names) == 100
    assert max(map(len, names)) < 90


def test_an_index_is_read_as_it_was_written(tmp_path: Path) -> None:
    sweep = SweepFolder(tmp_path)
    assert not sweep.is_sweep
    jobs = [
        SweepJob(0, "0-seed=0", ("seed=0",), {"seed": 0}),
        SweepJob(1, "1-seed=1", ("seed=1",), {"seed": 1}, bars=(None, 0.5)),
    ]
    sweep.write(**WHOLE, jobs=jobs)
    assert sweep.is_sweep
    assert sweep.jobs() == jobs
    sweep.write(at_once=4)
    assert sweep.index()["at_once"] == 4
    assert sweep.jobs() == jobs
    assert sweep.bars(tmp_path / "1-seed=1") == (None, 0.5)
    assert find_sweeps(tmp_path)[0].path == tmp_path


def test_a_sweep_is_complete_when_all_its_jobs_are_done(tmp_path: Path) -> None:
    sweep = SweepFolder(tmp_path)
    jobs = [SweepJob(number, str(number), (), {}) for number in range(2)]
    sweep.write(**WHOLE, jobs=jobs)
    assert [sweep.status(job) for job in jobs] == [NOT_STARTED] * 2
    for job, status in zip(jobs, ("finished", "pruned"), strict=True):
        assert not sweep.is_complete
        sweep.run(job).path.mkdir()
        sweep.run(job).update(status=status)
    assert sweep.is_complete
    sweep.write(search={"ranges": {}, "words": [], "trials": 3, "prune": False, "seed": 0})
    assert not sweep.is_complete
    assert sweep.size == 3


def test_a_damaged_or_newer_index_is_refused(tmp_path: Path) -> None:
    sweep = SweepFolder(tmp_path)
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(DamagedFile, match="is no JSON"):
        sweep.index()
    (tmp_path / "sweep.json").write_text(json.dumps({"format": 1, **WHOLE}))
    with pytest.raises(DamagedFile, match="has no 'jobs'"):
        sweep.index()
    old = {key: value for key, value in WHOLE.items() if key != "launcher"}
    (tmp_path / "sweep.json").write_text(json.dumps({"format": 1, **old, "jobs": []}))
    with pytest.raises(DamagedFile, match="has no 'launcher'"):
        sweep.index()
    newer = {"format": 2, **WHOLE, "words": {}, "jobs": "elsewhere"}
    (tmp_path / "sweep.json").write_text(json.dumps(newer))
    with pytest.raises(UserError, match="format 2; this kdrun reads up to 1"):
        sweep.index()
