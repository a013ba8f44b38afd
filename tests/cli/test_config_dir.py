"""A folder of one's own config files counts in runs, in jobs of a sweep and when they resume."""

from pathlib import Path

import pytest
import yaml
from tiny import TINY, Told

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
