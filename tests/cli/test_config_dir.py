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


THEIRS = """
from torch import nn
from kdrun.loss.logits import KD
LOSSES = {"warm": "theirs:Warm"}
MODELS = {"thin": "theirs:Thin"}
STEPS = {"half": "theirs:Half"}
class Warm(KD):
    def __init__(self, alpha: float = 0.25, temperature: float = 2.0) -> None:
        super().__init__(alpha, temperature)
class Thin(nn.Sequential):
    def __init__(self, width: int = 4, *, num_classes, in_channels, image_size):
        pixels = in_channels * image_size[0] * image_size[1]
        layers = nn.Linear(pixels, width), nn.ReLU(), nn.Linear(width, num_classes)
        super().__init__(nn.Flatten(), *layers)
class Half:
    def __init__(self, share: float = 0.5) -> None:
        self.share = share
"""
OWN_FILES = {
    "loss/warm.yaml": "name: warm\nalpha: 0.75\ntemperature: 3.0",
    "model/thin.yaml": "name: thin\nwidth: 9",
    "student/thin.yaml": "defaults: [/model/thin@_here_, _self_]\nfreeze: [x]",
    "teacher/resnet20.yaml": "defaults: [/model/resnet20@_here_, _self_]\nwidths: [4, 4, 8, 8]",
    "step/half.yaml": "name: half\nshare: 0.1",
    "compress/half.yaml": "defaults: [_base, /step/half@first, _self_]\nsteps: [first]",
}


@pytest.mark.parametrize("way", ["--config-dir=own", "hydra.searchpath=[file://own]"])
def test_files_of_ones_own_take_the_place_of_what_is_known_without_them(
    way: str, kdrun: Kdrun, tmp_path: Path
) -> None:
    (tmp_path / "theirs.py").write_text(THEIRS)
    for file, text in OWN_FILES.items():
        (tmp_path / "own" / file).parent.mkdir(parents=True)
        (tmp_path / "own" / file).write_text(text)
    choices = ("loss=warm", "student=thin", "teacher=resnet20", "compress=half")
    done = kdrun(way, "plugins=[theirs]", *choices, "--cfg", "job")
    tree = yaml.safe_load(done.stdout)
    assert tree["loss"] == {"name": "warm", "alpha": 0.75, "temperature": 3.0}
    assert (tree["student"]["width"], tree["student"]["freeze"]) == (9, ["x"])
    assert tree["teacher"]["widths"] == [4, 4, 8, 8]
    assert tree["compress"]["first"] == {"name": "half", "share": 0.1}
    assert done.stderr == ""
