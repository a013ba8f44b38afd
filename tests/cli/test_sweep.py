"""Sweeps: jobs named by what differs, that share, fail alone and are gone on with."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TINY, Kdrun, Told

from kdrun.core.device import Hardware
from kdrun.core.lock import FolderLock
from kdrun.core.sweep import SweepFolder

QUICK = (*TINY, "controls=[]", "recipe.epochs=1")


def only_sweep(root: Path) -> SweepFolder:
    (found,) = root.glob("*/sweeps/*/*")
    return SweepFolder(found)


def manifests(sweep: SweepFolder) -> list[dict[str, Any]]:
    return [sweep.run(job).manifest() for job in sweep.jobs()]


def statuses(sweep: SweepFolder) -> list[str]:
    return [sweep.status(job) for job in sweep.jobs()]


def test_a_sweep_trains_teacher_and_control_once(told: Told, tmp_path: Path) -> None:
    assert told("-m", "loss.temperature=2,4,8", "loss.alpha=0.5,0.9", *TINY)[0] == 0
    sweep = only_sweep(tmp_path)
    found = manifests(sweep)
    assert statuses(sweep) == ["finished"] * 6
    for stage in ("teacher", "alone"):
        trained = [not manifest["stages"][stage]["from_store"] for manifest in found]
        assert sum(trained) == 1
        assert len({manifest["stages"][stage]["fingerprint"] for manifest in found}) == 1
    assert len({manifest["stages"]["distill"]["fingerprint"] for manifest in found}) == 6


def test_a_mistake_in_a_late_job_is_found_before_the_first_starts(
    told: Told, tmp_path: Path
) -> None:
    values = ",".join(map(str, [*range(1, 15), -1]))  # more than are checked in full
    status, said = told("-m", f"loss.temperature={values}", *QUICK)
    assert status == 2
    assert "loss.temperature: -1 should be greater than 0" in said
    assert not list(tmp_path.iterdir())


def test_the_index_says_what_was_typed_and_how_jobs_differ(told: Told, tmp_path: Path) -> None:
    words = ("-m", "loss.temperature=2,4", "student.hidden=[4],[8]", "loss.alpha=0.5", *QUICK[:3])
    told(*words, *QUICK[4:])
    sweep = only_sweep(tmp_path)
    index = sweep.index()
    assert index["words"] == [*words, *QUICK[4:]]
    assert index["command"].startswith("kdrun -m loss.temperature=2,4 'student.hidden=[4],[8]'")
    assert [job.folder for job in sweep.jobs()] == [
        "0-loss.temperature=2,student.hidden=_4",
        "1-loss.temperature=2,student.hidden=_8",
        "2-loss.temperature=4,student.hidden=_4",
        "3-loss.temperature=4,student.hidden=_8",
    ]
    assert [job.differs for job in sweep.jobs()][1] == {
        "loss.temperature": 2,
        "student.hidden": [8],
    }
    assert sweep.run(sweep.jobs()[1]).config()["student"]["hidden"] == [8]
    assert "loss.alpha=0.5" in sweep.jobs()[0].words


def test_the_table_has_every_job_with_its_figures(told: Told, tmp_path: Path) -> None:
    status, said = told("-m", "seed=0,1", *TINY)
    sweep = only_sweep(tmp_path)
    head, *lines = said.splitlines()[-3:]
    assert status == 0
    assert head.endswith(": 2 of 2 jobs finished")
    for job, line in zip(sweep.jobs(), lines, strict=True):
        rows = (sweep.run(job).summary() or {})["rows"]
        figures = ", ".join(f"{row['model']} {100 * row['accuracy']:.2f} %" for row in rows)
        gain = 100 * rows[2]["gain"]["accuracy"]
        path = (sweep.path / job.folder).relative_to(tmp_path)
        assert line == f"  {path}  finished  {figures} ({gain:+.2f})"
    shown = told("show", str(sweep.path.relative_to(tmp_path)))[1].splitlines()
    assert (shown[0], shown[2:]) == (head, lines)
    assert shown[1].startswith("command: kdrun -m seed=0,1 ")
    assert told("list", "runs", "outputs")[1].splitlines() == lines


def test_failed_jobs_do_not_stop_the_others_and_are_all_told_of(told: Told, tmp_path: Path) -> None:
    words = ("recipe/optimizer=sgd", "recipe.lr=1e+12,0.01,1e+11,0.02")
    status, said = told("-m", *words, *QUICK)
    assert status == 1
    head, *lines = said[said.index("sweep in") :].splitlines()[:5]
    assert head.endswith(": 2 of 4 jobs finished, 2 failed")
    assert "/0-recipe.lr=1000000000000.0  failed    the loss term" in lines[0]
    assert "/1-recipe.lr=0.01             finished  teacher " in lines[1]
    assert "/2-recipe.lr=100000000000.0   failed    the loss term" in lines[2]


PLUGIN = """
import sys
from kdrun.loss.logits import KD
LOSSES = {"ends": "ending:Ends"}
class Ends(KD):
    def forward(self, *given):
        if self.alpha == 0.25:
            sys.exit(3)
        return super().forward(*given)
"""


def test_a_part_that_ends_the_program_ends_its_job_alone(kdrun: Kdrun, tmp_path: Path) -> None:
    (tmp_path / "ending.py").write_text(PLUGIN)  # `python -m` looks in this folder
    words = ("plugins=[ending]", "loss=ends", "loss.temperature=2", "loss.alpha=0.25,0.5")
    said = kdrun("-m", *words, *QUICK, status=1).stdout
    assert statuses(only_sweep(tmp_path)) == ["failed", "finished"]
    assert "failed    code of the run ended the program: sys.exit(3)" in said


def test_two_sweeps_of_the_same_second_have_folders_of_their_own(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import datetime

    from kdrun.run import new_folder

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr(new_folder, "datetime", Stopped)
    for _ in range(2):
        assert told("-m", "seed=0", *QUICK)[0] == 0
    found = sorted(path.name for path in tmp_path.glob("outputs/sweeps/2026-01-02/*"))
    assert found == ["03-04-05", "03-04-05-2"]


def test_a_sweep_goes_where_the_words_say(told: Told, tmp_path: Path) -> None:
    assert told("-m", "seed=0", "hydra.sweep.dir=new/mine", *QUICK)[0] == 0
    assert statuses(SweepFolder(tmp_path / "new/mine")) == ["finished"]
    status, said = told("-m", "seed=0", "hydra.sweep.dir=new/mine", *QUICK)
    assert (status, "'new/mine' holds a sweep already" in said) == (2, True)
    (tmp_path / "file").write_text("")
    status, said = told("-m", "seed=0", "hydra.sweep.dir=file/sweep", *QUICK)
    assert (status, "hydra.sweep.dir: 'file/sweep' can't be made" in said) == (2, True)


def test_an_interrupted_sweep_says_what_is_left_and_is_gone_on_with(
    told: Told, tmp_path: Path
) -> None:
    status, said = told("-m", "seed=0,1,2", *QUICK, fault="step:12:int")
    sweep = only_sweep(tmp_path)
    assert status == 130
    assert statuses(sweep) == ["finished", "interrupted", "not started"]
    path = sweep.path.relative_to(tmp_path)
    assert f"{path}: 1 of 3 jobs finished, 1 interrupted, 1 not started" in said
    assert f"  {path}/2-seed=2  not started\n" in said
    assert f"kdrun resume {path}" in said
    before = (sweep.run(sweep.jobs()[0]).path / "run.json").read_bytes()
    status, said = told("resume", str(path))
    assert (status, statuses(sweep)) == (0, ["finished"] * 3)
    assert (sweep.run(sweep.jobs()[0]).path / "run.json").read_bytes() == before
    assert "is finished" in told("resume", str(path))[1]


def test_commands_that_are_told_of_can_be_typed(told: Told, tmp_path: Path) -> None:
    words = ("-m", "seed=0,1", "hydra.sweep.dir='a place [1]'", *QUICK)
    said = told(*words, fault="step:12:raise")[1]
    assert "kdrun resume 'a place [1]/1-seed=1'" in said
    assert "run what is not finished: kdrun resume 'a place [1]'\n" in said
    assert told("resume", "a place [1]")[0] == 0
    assert "its jobs: kdrun show 'a place [1]'\n" in told("resume", "a place [1]")[1]


def test_a_failed_job_is_run_again(told: Told, tmp_path: Path) -> None:
    assert told("-m", "seed=0,1", *QUICK, fault="step:12:raise")[0] == 1
    sweep = only_sweep(tmp_path)
    assert statuses(sweep) == ["finished", "failed"]
    assert told("resume", str(sweep.path))[0] == 0
    assert statuses(sweep) == ["finished", "finished"]
    whole = told("-m", "seed=1", "output_root=whole", *QUICK)
    assert whole[0] == 0
    (once,) = tmp_path.glob("whole/sweeps/*/*/0")
    again = sweep.run(sweep.jobs()[1]).path
    weights = "student/weights.safetensors"
    assert (once / weights).read_bytes() == (again / weights).read_bytes()


def test_a_job_is_gone_on_with_as_it_began(told: Told, tmp_path: Path) -> None:
    words = [word for word in QUICK if word != "threads=1"]
    told("-m", "seed=0", *words, fault="step:6:int")
    sweep = only_sweep(tmp_path)
    (job,) = sweep.jobs()
    threads = sweep.run(job).config()["threads"]
    sweep.write(at_once=10 * threads)
    assert told("resume", str(sweep.path))[0] == 0
    assert sweep.run(job).config()["threads"] == threads


def test_a_sweep_that_is_running_is_not_run_twice(told: Told, tmp_path: Path) -> None:
    told("-m", "seed=0,1", *QUICK, fault="step:12:raise")
    sweep = only_sweep(tmp_path)
    with sweep.lock().acquire(wait=False):
        status, said = told("resume", str(sweep.path))
    assert status == 5
    assert said.startswith(f"kdrun: sweep '{sweep.path}' is in use by process {os.getpid()}.")
    job = sweep.run(sweep.jobs()[1]).path
    with FolderLock(job).acquire(wait=False):  # of a worker that outlived its sweep
        assert told("resume", str(sweep.path))[0] == 5
    assert statuses(sweep) == ["finished", "failed"]


def test_what_only_a_search_knows_is_refused(told: Told, tmp_path: Path) -> None:
    status, said = told("-m", "loss.temperature=interval(1,16)", *QUICK)
    assert status == 2
    assert "to search it: kdrun search 'loss.temperature=interval(1,16)'" in said
    (tmp_path / "mine/experiment").mkdir(parents=True)
    (tmp_path / "mine/experiment/grid.yaml").write_text(
        "# @package _global_\nhydra: {sweeper: {params: {seed: '1,2'}}}\n"
    )
    status, said = told("-m", "--config-dir", "mine", "experiment=grid", *QUICK)
    assert status == 2
    assert "hydra.sweeper.params: kdrun sweeps and searches itself" in said
    assert not Path("outputs").exists()


def test_the_teacher_of_a_job_is_taken_by_its_path(told: Told, tmp_path: Path) -> None:
    told("-m", "loss.temperature=2,4", *QUICK)
    job = only_sweep(tmp_path).path / "1-loss.temperature=4"
    assert told(f"teacher.run={job}", "name=after", *QUICK)[0] == 0
    (run,) = tmp_path.glob("outputs/20*/*-after")
    assert json.loads((run / "run.json").read_text())["config"]["teacher"]["run"] == str(job)


def test_a_killed_sweep_goes_on_where_it_was(kdrun: Kdrun, tmp_path: Path) -> None:
    kdrun("-m", "seed=0,1", *QUICK, status=-signal.SIGKILL, KDRUN_FAULT="step:12")
    sweep = only_sweep(tmp_path)
    assert statuses(sweep) == ["finished", "crashed"]
    kdrun("resume", str(sweep.path.relative_to(tmp_path)))
    assert statuses(sweep) == ["finished", "finished"]


def test_a_job_waits_for_the_teacher_and_takes_it_over_from_a_killed_one(
    kdrun: Kdrun, tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "kdrun", *QUICK, "name=first", "checkpoint_seconds=1e-9"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "KDRUN_FAULT": "step:3:stop",
    }
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as first:
        try:
            os.waitid(os.P_PID, first.pid, os.WSTOPPED)
            waiting = subprocess.Popen(
                [*words, "name=second"],
                cwd=tmp_path,
                env={**environment, "KDRUN_FAULT": "", "PYTHONUNBUFFERED": "1"},
                stdout=subprocess.PIPE,
                text=True,
            )
            with waiting as second:
                assert second.stdout is not None
                told = next(line for line in second.stdout if line.startswith("waiting for"))
                assert f"in use by process {first.pid}" in told
                first.kill()
                rest = second.stdout.read()
        finally:
            first.kill()
    assert second.returncode == 0
    assert "written to" in rest
    (run,) = tmp_path.glob("outputs/20*/*-second/run.json")
    assert not json.loads(run.read_text())["stages"]["teacher"]["from_store"]


def test_the_memory_of_the_first_job_says_how_many_run_together(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    told("-m", "seed=0,1,2", *QUICK, fault="step:1:int")
    sweep = only_sweep(tmp_path)
    sweep.write(measures=True)  # as with launcher.jobs=auto on a GPU
    monkeypatch.setattr(Hardware, "peak_memory", lambda self: 3 * 2**30)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (7 * 2**30, 8 * 2**30))
    status, said = told("resume", str(sweep.path))
    assert (status, statuses(sweep)) == (0, ["finished"] * 3)
    told = "1 at a time: the first job took 3.0 GiB of the GPU's memory, 7.0 GiB are free"
    assert told in said.splitlines()
    assert said.index("0-seed=0\n") < said.index(told) < said.index("1-seed=1\n")
    assert sweep.index()["launcher"] == ["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"]
    assert not sweep.index()["measures"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_jobs_share_a_gpu(kdrun: Kdrun, tmp_path: Path) -> None:
    kdrun("-m", "seed=0,1,2", "launcher.jobs=auto", "device=cuda", *QUICK)
    sweep = only_sweep(tmp_path)
    assert statuses(sweep) == ["finished"] * 3
    assert sweep.index()["at_once"] == 2
    assert all(manifest["peak_memory"] > 0 for manifest in manifests(sweep))
