"""Runs with samples that have no labels: who learns from them, and that they resume."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import TINY, Kdrun, Refused

FIGURES = ("weights.safetensors", "metrics.jsonl")


def record(folder: Path, stage: str) -> dict:
    return json.loads((folder / stage / "artefact.json").read_text())


def pictures(folder: Path, count: int) -> Path:
    random = np.random.default_rng(0)
    (folder / "deep").mkdir(parents=True)
    for at in range(count):
        pixels = random.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / ("deep" if at % 2 else "") / f"{at}.png")
    return folder


def test_only_the_student_sees_samples_without_labels(kdrun: Kdrun, tmp_path: Path) -> None:
    shown = kdrun(*TINY, "dataset.unlabeled=0.75", "recipe.batch_size=32", "name=some").stdout
    (folder,) = tmp_path.glob("outputs/20*/*-some")
    assert "64 of 256 training samples are labeled" in shown
    assert json.loads((folder / "summary.json").read_text())["labeled"] == {
        "labeled": 64,
        "training": 256,
        "repeated": False,
    }
    sizes = {
        stage: record(folder, stage)["data"]["train_size"]
        for stage in ("teacher", "alone", "student")
    }
    assert sizes == {"teacher": 64, "alone": 64, "student": 256}


def test_labeled_samples_are_repeated_for_equal_steps(kdrun: Kdrun, tmp_path: Path) -> None:
    words = ("dataset.unlabeled=0.75", "recipe.batch_size=32", "recipe.repeat_labeled=true")
    shown = kdrun(*TINY, *words, "name=equal").stdout
    (folder,) = tmp_path.glob("outputs/20*/*-equal")
    summary = json.loads((folder / "summary.json").read_text())
    assert {row["model"]: row["steps"] for row in summary["rows"]} == {
        "teacher": 16,
        "alone": 16,
        "distilled": 16,
    }
    assert summary["labeled"]["repeated"]
    assert "learned from these alone, repeated: equal steps." in " ".join(shown.split())
    assert "Not the same budget" not in shown


@pytest.mark.parametrize("scheme", ["moving_teacher", "mutual", "own_stages"])
def test_what_is_taught_by_its_own_or_its_peers_sees_samples_without_labels(
    scheme: str, kdrun: Kdrun, tmp_path: Path
) -> None:
    words = ("dataset.unlabeled=0.75", "recipe.batch_size=32", "loss=dkd", f"scheme={scheme}")
    common = (word for word in TINY if not word.startswith("student"))
    kdrun(*common, *words, "student=resnet8", "name=some")
    (folder,) = tmp_path.glob("outputs/20*/*-some")
    assert record(folder, "alone")["data"]["train_size"] == 64
    assert record(folder, "student")["data"]["train_size"] == 256


def test_a_folder_leaves_teacher_and_control_those_of_the_plain_run(
    kdrun: Kdrun, tmp_path: Path
) -> None:
    more = pictures(tmp_path / "more", 40)
    kdrun(*TINY, "name=plain")
    shown = kdrun(*TINY, f"dataset.unlabeled={more}", "name=more").stdout
    assert "256 of 296 training samples are labeled" in shown
    runs = [next(tmp_path.glob(f"outputs/20*/*-{name}")) for name in ("plain", "more")]
    for stage in ("teacher", "alone"):
        one, other = (record(run, stage)["fingerprint"] for run in runs)
        assert one == other
    one, other = (record(run, "student")["fingerprint"] for run in runs)
    assert one != other


def test_a_run_with_mixing_and_parts_is_resumed_exactly(kdrun: Kdrun, tmp_path: Path) -> None:
    words = (
        *TINY,
        "dataset.unlabeled=0.75",
        "recipe.mixup=0.4",
        "recipe.label_smoothing=0.1",
        "recipe.accumulate=2",
        "checkpoint_seconds=0.001",
    )
    kdrun(*words, "name=whole")
    kdrun(*words, "name=cut", status=1, KDRUN_FAULT="step:6:raise")
    whole, cut = (next(tmp_path.glob(f"outputs/20*/*-{name}")) for name in ("whole", "cut"))
    kdrun("resume", str(cut))
    for name in FIGURES:
        assert (cut / "student" / name).read_bytes() == (whole / "student" / name).read_bytes()


def test_more_parts_than_labels_are_refused(refused: Refused) -> None:
    words = ("dataset.unlabeled=0.95", "recipe.accumulate=16", "controls=[]")
    assert "stage 'teacher' has 13 samples to learn from" in refused(*words)


def test_with_all_labels_hidden_a_finished_teacher_is_asked_for(
    refused: Refused, kdrun: Kdrun, tmp_path: Path
) -> None:
    said = refused("dataset.unlabeled=1")
    assert said.startswith("loss: what learns without a teacher needs labels")
    kdrun(*TINY, "name=before")
    (run,) = tmp_path.glob("outputs/20*/*-before")
    shown = kdrun(*TINY, f"teacher.run={run}", "controls=[]", "dataset.unlabeled=1").stdout
    assert "0 of 256 training samples are labeled" in shown
    words = (f"teacher.run={run}", "controls=[]", "dataset.unlabeled=1", "compress=prune_weights")
    said = refused(*words, "compress.prune_weights.score=taylor")
    assert said.startswith("compress.prune_weights: score=taylor needs labels, and no training")
