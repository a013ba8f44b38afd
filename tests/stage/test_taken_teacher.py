"""A teacher of another run has not seen this run's held-out images, as far as that is recorded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from plans import run_to

from kdrun.core.errors import ConfigError

Run = Callable[..., Path]


@pytest.fixture
def run_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command's words in this process, into a folder that is named."""
    monkeypatch.chdir(tmp_path)

    def run_here(folder: str, *words: str) -> Path:
        return run_to(Path(folder), "recipe.epochs=1", "recipe.batch_size=16", *words)

    return run_here


def data_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "teacher" / "model.json").read_text())["data"]


def paint(root: Path, shade: int) -> Path:
    """A folder of two classes, of 20 pictures each."""
    random = np.random.default_rng(shade)
    for label, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for at in range(20):
            pixels = random.integers(0, shade, (8, 8, 3), dtype=np.uint8) + label
            Image.fromarray(pixels).save(root / name / f"{at}.png")
    return root


def photos(root: Path) -> tuple[str, ...]:
    return ("dataset=imagefolder", f"dataset.root={root}", "dataset.subset=null")


REFUSED = (
    "teacher.run: the teacher in 'first/teacher' was trained on another split of 'digits', perhaps"
    " on images that this run validates or tests on.\n"
    "  both splits must be the same, only dataset.subset may differ: add {word},\n"
    "  or leave teacher.run out and train the teacher here"
)


@pytest.mark.parametrize("key", ["split_seed", "validation", "test"])
def test_a_teacher_of_another_split_is_refused(key: str, run_words: Run) -> None:
    run_words("first")
    before = {"split_seed": 0, "validation": 0.1, "test": 0.2}[key]
    other = {"split_seed": 1, "validation": 0.2, "test": 0.25}[key]
    with pytest.raises(ConfigError) as refused:
        run_words("again", "teacher.run=first", f"dataset.{key}={other}")
    assert str(refused.value) == REFUSED.format(word=f"dataset.{key}={before}")


def test_a_teacher_of_another_subset_is_taken_with_its_normalization(
    run_words: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    data = data_of(run_words("first"))
    with pytest.raises(ConfigError) as refused:
        run_words("other", "teacher.run=first", "dataset.subset=128")
    said = str(refused.value)
    assert said.startswith(
        "teacher.run: the teacher in 'first/teacher' was trained on images normalized with mean"
    )
    mended = said.splitlines()[-1].strip().removeprefix("add ").split(", or")[0].split(" ")
    assert [word.split("=")[0] for word in mended] == ["dataset.mean", "dataset.std"]
    capsys.readouterr()
    again = run_words("again", "teacher.run=first", "dataset.subset=128", *mended)
    assert data_of(again)["mean"] == pytest.approx(data["mean"], abs=1e-5)
    assert "warning" not in capsys.readouterr().out


def test_a_teacher_of_other_images_is_taken_and_that_is_said(
    run_words: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = paint(tmp_path / "here", 200), paint(tmp_path / "there", 100)
    run_words("first", *photos(there))
    for folder in ("second", "third"):  # made, and from the store
        capsys.readouterr()
        run_words(folder, *photos(here), "teacher.run=first")
        said = capsys.readouterr().out
        assert (
            said.count(
                f"warning: teacher: 'first/teacher' was trained on other images, {str(there)!r}"
            )
            == 1
        )
    # Where its own images are held out, a teacher is known again after it was taken elsewhere.
    with pytest.raises(ConfigError, match="another split of 'imagefolder'"):
        run_words("fourth", *photos(there), "teacher.run=second", "dataset.split_seed=1")


def test_a_copied_or_corrected_folder_is_known_again(run_words: Run, tmp_path: Path) -> None:
    root = paint(tmp_path / "photos", 200)
    shutil.copytree(root, tmp_path / "copy")
    run_words("first", *photos(root))
    run_words("second", *photos(tmp_path / "copy"), "teacher.run=first")
    with pytest.raises(ConfigError, match="another split"):
        run_words("x", *photos(tmp_path / "copy"), "teacher.run=first", "dataset.split_seed=1")
    (root / "cat" / "7.png").rename(root / "dog" / "cat7.png")
    corrected = (*photos(root), "dataset.workers=0")  # another config: one is read once a process
    with pytest.raises(ConfigError) as refused:
        run_words("x", *corrected, "teacher.run=first")
    assert "was trained on 'imagefolder' before its pictures or classes" in str(refused.value)
    assert "leave teacher.run out and train the teacher here" in str(refused.value)
    run_words("third", *corrected)


def test_a_teacher_of_unknown_images_is_taken_and_that_is_said(
    run_words: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run_words("first")
    run_words("second", f"teacher.checkpoint={first}/teacher/weights.safetensors")
    run_words("third", "teacher.run=second")
    said = "warning: teacher: on what images 'second/teacher' was trained is not recorded"
    assert said in capsys.readouterr().out


def test_a_hugging_face_teacher_is_taken_by_the_words_that_it_was_trained_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bert").mkdir()
    config = {"model_type": "bert", "max_position_embeddings": 128, "intermediate_size": 16}
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    Path("bert/config.json").write_text(json.dumps({**config, **sizes}))
    teacher = ("teacher=hf", "teacher.path=bert", "teacher.pretrained=false")
    words = ("dataset.subset=200", "teacher.tokenizer={name: bytes}", "student=text_bag")
    short = ("recipe.epochs=1", "controls=[]", "evaluate.latency.seconds=0.01")
    run_to(Path("first"), "task=text", *teacher, *words, *short, base=())
    run_to(Path("again"), "task=text", *teacher, *words, *short, "teacher.run=first", base=())
    first, again = (Path(name, "teacher/weights.safetensors") for name in ("first", "again"))
    assert first.read_bytes() == again.read_bytes()
    deeper = ("teacher.depth=2", "teacher.run=first")
    with pytest.raises(ConfigError, match=r"add teacher=hf teacher\.config="):
        run_to(Path("other"), "task=text", *teacher, *words, *short, *deeper, base=())
