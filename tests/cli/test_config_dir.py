"""A folder of one's own config files counts in runs, in jobs of a sweep and when they resume."""

from pathlib import Path

import pytest
import yaml
from tiny import TINY, Kdrun, Told

from kdrun.core.folder import RunFolder

SOFT = {"name": "kd", "alpha": 0.5, "temperature": 3.0}
WORDS = ("--config-dir", "own", "loss=combined", "loss.terms={soft: {}}", "controls=[]", *TINY)


@pytest.fixture
def own(tmp_path: Path) -> None:
    (tmp_path / "own" / "loss").mkdir(parents=True)
    (tmp_path / "own" / "loss" / "soft.yaml").write_text(yaml.safe_dump(SOFT))


def test_jobs_of_a_sweep_have_the_values_of_ones_own_files(own, told: Told, tmp_path: Path):
    status, said = told("-m", *WORDS, "seed=0,1")
    assert status == 0, said
    runs = [RunFolder(path.parent) for path in tmp_path.rglob("run.json")]
    assert [run.config()["loss"]["terms"] for run in runs] == [{"soft": SOFT}] * 2


def test_a_cut_run_resumes_without_the_folder(own, told: Told, tmp_path: Path):
    status, said = told(*WORDS, fault="step:3:raise")
    assert status == 1, said
    (tmp_path / "own" / "loss" / "soft.yaml").unlink()
    (manifest,) = tmp_path.rglob("run.json")
    status, said = told("resume", str(manifest.parent))
    assert status == 0, said
    assert RunFolder(manifest.parent).config()["loss"]["terms"] == {"soft": SOFT}


def test_a_file_takes_the_place_of_a_plugins_default_values(own, kdrun: Kdrun, tmp_path: Path):
    (tmp_path / "theirs.py").write_text(
        "from kdrun.loss.logits import KD\n"
        'LOSSES = {"warm": "theirs:Warm"}\n'
        "class Warm(KD):\n"
        "    def __init__(self, alpha: float = 0.25, temperature: float = 2.0) -> None:\n"
        "        super().__init__(alpha, temperature)\n"
    )
    (tmp_path / "own" / "loss" / "warm.yaml").write_text(yaml.safe_dump({**SOFT, "name": "warm"}))
    words = ("plugins=[theirs]", "loss=warm", "--cfg", "job", "--package", "loss")
    assert yaml.safe_load(kdrun(*words).stdout) == {
        "name": "warm", "alpha": 0.25, "temperature": 2.0,
    }  # fmt: skip
    done = kdrun("--config-dir", "own", *words)
    assert yaml.safe_load(done.stdout) == {**SOFT, "name": "warm"}
    assert done.stderr == ""
