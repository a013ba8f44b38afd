"""A stage goes on from a checkpoint of its own training alone, and says what it leaves out."""

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from edits import edit_json
from PIL import Image
from tiny import TINY, Kdrun, result

PICTURES = (
    *(word for word in TINY if not word.startswith("dataset")),
    "dataset=imagefolder",
    "dataset.root=pictures",
    "controls=[]",
    "recipe.epochs=3",
    "recipe.batch_size=8",
    "output_root=out",
)
IN_DISTILL = "step:27:kill"  # 5 steps an epoch, 15 of the teacher: in the third of distill
BEGINS_ANEW = "; it is kept as checkpoint.other.pt, and the stage begins anew"


def write_pictures(root: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    for part, count in (("train", 20), ("val", 4), ("test", 4)):
        for name in ("cat", "dog"):
            folder = root / part / name
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")


def run_of(root: Path) -> Path:
    (folder,) = root.glob("out/20*/*")
    return folder


@pytest.fixture
def killed(kdrun: Kdrun, tmp_path: Path) -> Path:
    """A run that was killed while its student learned."""
    write_pictures(tmp_path / "pictures", seed=0)
    kdrun(*PICTURES, status=-signal.SIGKILL, KDRUN_FAULT=IN_DISTILL)
    return run_of(tmp_path)


def clean(kdrun: Kdrun, root: Path, *words: str) -> dict:
    root.mkdir()
    shutil.copytree(root.parent / "pictures", root / "pictures")
    kdrun(*PICTURES, *words, cwd=root)
    return result(run_of(root))


def test_other_pictures_train_a_student_anew(killed: Path, kdrun: Kdrun, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", seed=1)
    said = kdrun("resume", str(killed)).stdout
    assert BEGINS_ANEW in said
    assert "not exact: resumed with images" in said
    assert result(killed) == clean(kdrun, tmp_path / "clean")


def test_a_deleted_picture_trains_a_student_anew(
    killed: Path, kdrun: Kdrun, tmp_path: Path
) -> None:
    (tmp_path / "pictures/train/cat/3.png").unlink()
    assert BEGINS_ANEW in kdrun("resume", str(killed)).stdout
    assert result(killed) == clean(kdrun, tmp_path / "clean")


def test_a_setting_edited_in_both_records_trains_a_student_anew(
    killed: Path, kdrun: Kdrun, tmp_path: Path
) -> None:
    config = (killed / "config.yaml").read_text()
    assert "temperature: 4.0" in config
    (killed / "config.yaml").write_text(config.replace("temperature: 4.0", "temperature: 2.0"))
    edit_json(killed / "run.json", lambda run: run["config"]["loss"].update(temperature=2.0))
    assert BEGINS_ANEW in kdrun("resume", str(killed)).stdout
    assert result(killed) == clean(kdrun, tmp_path / "clean", "loss.temperature=2.0")


def test_the_checkpoint_of_another_run_is_not_continued(
    killed: Path, kdrun: Kdrun, tmp_path: Path
) -> None:
    expected = clean(kdrun, tmp_path / "clean")
    other = tmp_path / "other"
    other.mkdir()
    shutil.copytree(tmp_path / "pictures", other / "pictures")
    kdrun(*PICTURES, "seed=1", cwd=other, status=-signal.SIGKILL, KDRUN_FAULT=IN_DISTILL)
    (killed / "student/checkpoint.pt").unlink()
    shutil.copy(run_of(other) / "student/checkpoint.pt", killed / "student/checkpoint.pt")
    said = kdrun("resume", str(killed)).stdout
    assert "checkpoint.pt: it is of another training" in said
    assert result(killed) == expected


def test_a_stage_goes_on_with_other_threads_and_is_not_exact(
    killed: Path, kdrun: Kdrun, tmp_path: Path
) -> None:
    """With another number of threads, as with another PyTorch, no epoch is lost."""
    config = (killed / "config.yaml").read_text()
    (killed / "config.yaml").write_text(config.replace("\nthreads: 1\n", "\nthreads: 2\n"))
    edit_json(killed / "run.json", lambda run: run["config"].update(threads=2))
    said = kdrun("resume", str(killed)).stdout
    assert "not exact: resumed with threads: 2, was 1" in said
    assert "distill: epoch 1/3" not in said
    assert "begins anew" not in said


def test_deleted_checkpoints_are_told(killed: Path, kdrun: Kdrun, tmp_path: Path) -> None:
    for path in (killed / "student").glob("checkpoint*"):
        path.unlink()
    said = kdrun("resume", str(killed)).stdout
    assert "distill begins anew: measurements of it are there, but no checkpoint" in said
    assert result(killed) == clean(kdrun, tmp_path / "clean")
