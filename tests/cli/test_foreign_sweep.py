"""A sweep folder that somebody sent runs no code and writes nothing outside of it."""

import json
from pathlib import Path

import pytest
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
    path.write_text(json.dumps(index))


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
