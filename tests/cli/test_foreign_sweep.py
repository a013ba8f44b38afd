"""A sweep folder that somebody sent runs no code and writes nothing outside of it."""

import json
import shutil
from pathlib import Path

import pytest
from edits import edit_json
from tiny import TINY, Told

from kdrun.core.sweep import SweepFolder

QUICK = (*TINY, "controls=[]", "recipe.epochs=1")
WRITES = "{_target_: pathlib.Path.write_text, _args_: [{_target_: pathlib.Path, _args_: [x]}, y]}"
BASIC = "hydra._internal.core_plugins.basic_launcher"
FOREIGN = [
    f"+hydra.callbacks.x={WRITES}",
    f"+hydra.callbacks.x._target_={BASIC}.BasicLauncher",
    f"hydra.launcher._target_={BASIC}.Path.touch",
    "+hydra.job.env_set.KDRUN_FAULT='step:1:kill'",
]


@pytest.fixture
def sweep(told: Told, tmp_path: Path) -> SweepFolder:
    """A sweep of one job, which failed."""
    assert told("-m", "seed=0", *QUICK, fault="step:1:raise")[0] == 1
    (path,) = tmp_path.glob("outputs/sweeps/*/*/sweep.json")
    return SweepFolder(path.parent)


def edit(sweep: SweepFolder, word: str, place: str) -> None:
    path = sweep.path / "sweep.json"
    index = json.loads(path.read_text())
    (index["jobs"][0]["words"] if place == "jobs" else index[place]).append(word)
    edit_json(path, **index)


@pytest.mark.parametrize("place", ["words", "launcher", "jobs"])
def test_words_of_a_foreign_sweep_are_checked_as_typed_ones(
    place: str, sweep: SweepFolder, told: Told, tmp_path: Path
) -> None:
    path = sweep.path / "sweep.json"
    before = path.read_text()
    for word in FOREIGN:
        path.write_text(before)
        edit(sweep, word, place)
        status, said = told("resume", str(sweep.path))
        assert status == 2, said
        assert "is refused" in said
        assert "Traceback" not in said
        assert not (tmp_path / "x").exists()
        assert sweep.status(sweep.jobs()[0]) == "failed"


UNTYPED = [
    "hydra/launcher=submitit_local",
    "hydra.searchpath=[pkg://evil_package.conf]",
    "+hydra.launcher.setup=[touch x]",
    "+hydra.launcher.ray.init.address=somewhere",
    "+hydra.launcher.submitit_folder=elsewhere",
]


@pytest.mark.parametrize("place", ["words", "launcher"])
def test_words_of_a_foreign_sweep_that_may_run_code_are_typed_once_more(
    place: str, sweep: SweepFolder, told: Told, tmp_path: Path
) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    (tmp_path / "evil_package").mkdir()
    (tmp_path / "evil_package" / "__init__.py").write_text("open('x', 'w')")
    path = sweep.path / "sweep.json"
    before = path.read_text()
    for word in UNTYPED:
        path.write_text(before)
        edit(sweep, word, place)
        status, said = told("resume", str(sweep.path))
        assert (status, "is refused" in said) == (2, True), said
        assert not (tmp_path / "x").exists()
        assert sweep.status(sweep.jobs()[0]) == "failed"


def test_a_sweep_of_a_cluster_is_resumed_by_its_launcher(
    sweep: SweepFolder, told: Told, tmp_path: Path
) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    edit(sweep, word := "hydra/launcher=submitit_local", "words")
    assert told("resume", str(sweep.path), word)[0] == 0
    assert (sweep.path / ".submitit").exists()


def test_a_launcher_that_lacks_a_setting_is_named(sweep: SweepFolder, told: Told) -> None:
    edit(sweep, "+hydra.launcher.x=1", "words")
    status, said = told("resume", str(sweep.path))
    assert (status, said.startswith("kdrun: hydra.launcher: ")) == (2, True), said
    assert "unexpected keyword argument 'x'" in said


def test_a_setting_that_is_not_of_the_sweep_is_refused(sweep: SweepFolder, told: Told) -> None:
    status, said = told("resume", str(sweep.path), "loss.temperature=3")
    assert (status, "'loss.temperature=3' is no setting of this sweep" in said) == (2, True)


# Where a plugin is named -> the status of `resume`; the launcher's words are no settings of a job.
PLUGGED = {"words": 2, "launcher": 0, "jobs": 1, "config": 1}


@pytest.mark.parametrize("place", PLUGGED)
def test_plugins_of_a_foreign_sweep_are_imported_only_if_the_command_names_them(
    place: str, sweep: SweepFolder, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"evil_{place}"
    (tmp_path / f"{name}.py").write_text("from pathlib import Path\nPath('x').touch()\nLOSSES = {}")
    monkeypatch.syspath_prepend(tmp_path)
    run = sweep.run(sweep.jobs()[0]).path
    if place == "config":
        edit_json(run / "run.json")
        for file in (run / "config.yaml", run / "run.json"):
            plain = file.read_text()
            file.write_text(
                plain.replace("plugins: []", f"plugins: [{name}]").replace(
                    '"plugins": []', f'"plugins": ["{name}"]'
                )
            )
    else:
        shutil.rmtree(run)
        edit(sweep, f"plugins=[{name}]", place)
    status, said = told("resume", str(sweep.path))
    assert status == PLUGGED[place], said
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("folder", ["../escaped", "/tmp/escaped", "a/b", "..", ".", "", "a\\b\x1b"])
def test_a_job_whose_folder_is_not_in_the_sweep_is_refused(
    folder: str, sweep: SweepFolder, told: Told, tmp_path: Path
) -> None:
    path = sweep.path / "sweep.json"
    index = json.loads(path.read_text())
    index["jobs"][0]["folder"] = folder
    edit_json(path, **index)
    found = sorted(tmp_path.rglob("*"))
    status, said = told("resume", str(sweep.path))
    assert status == 9
    assert said.startswith(f"kdrun: '{path}' has {folder!r} for the folder of a job, not a name")
    assert sorted(tmp_path.rglob("*")) == found


def test_words_of_a_job_do_not_move_it_out_of_the_sweep(
    sweep: SweepFolder, told: Told, tmp_path: Path
) -> None:
    edit(sweep, f"hydra.sweep.dir={tmp_path}/escaped", "jobs")
    status, said = told("resume", str(sweep.path))
    assert status == 0, said
    assert sweep.status(sweep.jobs()[0]) == "finished"
    assert not (tmp_path / "escaped").exists()
