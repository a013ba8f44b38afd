"""Domain shift: the student learns a folder from the teacher alone, and all are tested on both."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from tiny import TINY, Kdrun, Refused

from kdrun.check.preflight import check
from kdrun.config.compose import compose_runs
from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.pseudo_labels import with_pseudo_labels
from kdrun.loss.table import build_loss
from kdrun.measure.metrics import Meter
from kdrun.run.plan import Plan
from kdrun.stage.artefact import read_artefact


@pytest.fixture
def inverted(tmp_path: Path) -> Path:
    """Digits in black on white, in class folders: train/ and test/."""
    digits = load_digits()
    for at in range(160):
        part = "train" if at < 120 else "test"
        path = tmp_path / "inverted" / part / str(digits.target[at])
        path.mkdir(parents=True, exist_ok=True)
        pixels = (255 - digits.images[at] * 15.9).astype(np.uint8)
        Image.fromarray(pixels).save(path / f"{at}.png")
    return tmp_path / "inverted"


def plan(*words: str) -> Plan:
    (job,) = compose_runs([*TINY, *words], multirun=False)
    assert not job.faults
    return check(job.tree)


def test_the_student_learns_the_folder_and_the_others_the_dataset(inverted: Path) -> None:
    made = plan("scheme=domain_shift", f"scheme.transfer={inverted}")
    stages = {stage.info.name: stage for stage in made.stages}
    sizes = {name: made.data_of(stage).train.size for name, stage in stages.items()}
    assert sizes == {"teacher": 256, "alone": 256, "distill": 120}
    assert stages["distill"].teachers == (stages["teacher"],)
    assert stages["distill"].info.reads == ("teacher",)
    assert [stage.info.label for stage in made.stages] == ["teacher", "alone", "distilled"]
    assert {name: split.size for name, split in made.domains.items()} == {"inverted": 40}
    assert any("120 images of" in note for note in made.notes)


def test_the_loss_has_no_label_term_on_images_without_labels() -> None:
    random = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(5, 4, generator=random) for _ in range(2))
    rows = torch.arange(5)
    loss = build_loss({"name": "kd", "alpha": 0.25, "temperature": 3.0})
    given = Batch(rows[:, None], rows * 0, rows, rows * 0, labeled=rows < 0)
    given = with_pseudo_labels(given, loss, Output(teacher))
    terms = loss(Output(student), Output(teacher), given, Progress("main", 0, 1, 0, 1))
    p, q = ((logits.double() / 3).softmax(1) for logits in (teacher, student))
    expected = 0.25 * 9 * (p * (p / q).log()).sum() / 5
    torch.testing.assert_close(sum(terms.values()).double(), expected, rtol=1e-5, atol=0)


def test_every_row_is_tested_on_both_domains(kdrun: Kdrun, tmp_path: Path, inverted: Path) -> None:
    words = ("scheme=domain_shift", f"scheme.transfer={inverted}")
    shown = kdrun(*TINY, *words).stdout
    (folder,) = tmp_path.glob("outputs/20*/*")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["domains"] == {"inverted": 40}
    assert "test images of inverted, 40 samples" in shown
    assert "On inverted: distilled over alone: " in shown
    split = plan(*words).domains["inverted"]
    (batch,) = split.batches(split.size)
    for row, stage in (("teacher", "teacher"), ("alone", "alone"), ("distilled", "student")):
        (entry,) = (one for one in summary["rows"] if one["model"] == row)
        with torch.no_grad():
            answers = read_artefact(folder / stage).network()(batch.inputs)
        meter = Meter(10)
        meter.update(answers, batch.targets)
        found = entry["domains"]["inverted"]
        assert found["n"] == 40
        assert found["accuracy"] == pytest.approx(meter.compute()["accuracy"])
        assert found["f1"] == pytest.approx(meter.compute()["f1"])
        assert 0 < found["accuracy_half_width"] < 1
        predicted = np.load(folder / "predictions.npz")[f"domains/inverted/{row}/predicted"]
        assert predicted.tolist() == answers.argmax(1).tolist()


def test_class_folders_teach_nothing(inverted: Path, kdrun: Kdrun, tmp_path: Path) -> None:
    words = ("scheme=domain_shift", f"scheme.transfer={inverted}")
    kdrun(*TINY, *words, "name=before")
    # Every image in another class's folder, in the same order.
    train = inverted / "train"
    folders = sorted(train.iterdir())
    for at, path in enumerate(folders):
        path.rename(train / f"{at}-moved")
    for at in range(len(folders)):
        (train / f"{at}-moved").rename(train / "abcdefghij"[at])
    kdrun(*TINY, *words, "name=after")
    one, other = (
        next(tmp_path.glob(f"outputs/20*/*-{name}/student/weights.safetensors")).read_bytes()
        for name in ("before", "after")
    )
    assert one == other


def test_a_missing_folder_and_a_loss_of_labels_are_refused(
    refused: Refused, inverted: Path
) -> None:
    assert refused("scheme=domain_shift") == (
        "scheme.transfer: must be given: a folder of images, e.g. scheme.transfer=photos"
    )
    said = refused("scheme=domain_shift", "scheme.transfer=nowhere")
    assert said.startswith("the folder 'nowhere' of scheme.transfer does not exist.")
    said = refused("scheme=domain_shift", f"scheme.transfer={inverted}", "loss=ce")
    assert said.startswith("loss: what learns without a teacher needs labels")
