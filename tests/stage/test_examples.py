"""The few test images that a run keeps, and how sure each model was of every answer."""

from pathlib import Path

import numpy as np
import pytest
from plans import run_to
from tiny import TINY, Kdrun

ROWS = ("teacher", "alone", "distilled")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return run_to(root / "run")


def test_the_confidence_of_each_answer_is_kept(folder: Path) -> None:
    stored = np.load(folder / "predictions.npz")
    for row in ROWS:
        sure, own = stored[f"{row}/confidence"], stored[f"{row}/probability"]
        right = stored[f"{row}/predicted"] == stored["target"]
        assert np.allclose(sure[right], own[right], atol=1e-12)
        assert (sure[~right] >= own[~right]).all()
        assert (sure >= 0.1).all()  # of ten classes the likeliest has at least a tenth


def test_examples_are_those_of_which_the_teacher_is_least_sure(folder: Path) -> None:
    stored, found = np.load(folder / "predictions.npz"), np.load(folder / "examples.npz")
    least = np.argsort(stored["teacher/confidence"], kind="stable")[:12]
    assert str(found["row"]) == "teacher"
    assert found["index"].tolist() == stored["index"][least].tolist()
    assert found["target"].tolist() == stored["target"][least].tolist()
    assert found["images"].shape == (12, 8, 8, 1)
    assert found["images"].dtype == np.uint8
    assert found["images"].max() > 200


def test_their_probabilities_are_the_models_own(folder: Path) -> None:
    stored, found = np.load(folder / "predictions.npz"), np.load(folder / "examples.npz")
    assert (found["classes"][:, 0] == found["target"]).all()
    for row in ROWS:
        shares = found[f"{row}/probability"]
        assert shares.shape == (12, 6)
        for number, index in enumerate(found["index"]):
            (at,) = np.flatnonzero(stored["index"] == index)
            assert shares[number, 0] == pytest.approx(stored[f"{row}/probability"][at], abs=1e-5)


def test_a_large_image_is_made_smaller(kdrun: Kdrun, tmp_path: Path) -> None:
    kdrun(*TINY, "dataset.image_size=96")
    (found,) = tmp_path.glob("outputs/20*/*/examples.npz")
    assert np.load(found)["images"].shape == (12, 64, 64, 1)
