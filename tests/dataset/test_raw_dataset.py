"""What a reader returns, as that of a plugin, is checked before anything is made of it."""

import pytest
import torch

from kdrun import dataset
from kdrun.core.errors import UserError
from kdrun.dataset.image.images import InMemory
from kdrun.dataset.samples import RawDataset
from kdrun.dataset.table import DATASETS

IMAGES = torch.zeros(12, 8, 8, 1, dtype=torch.uint8)
LABELS = torch.arange(12) % 3


@pytest.fixture
def refusal(node, monkeypatch):
    """Load a dataset of these images and labels, and return the error's lines."""

    def lines(images: torch.Tensor, labels: torch.Tensor) -> tuple[str, ...]:
        raw = RawDataset(("a", "b", "c"), InMemory(images, labels))
        monkeypatch.setattr(f"{__name__}.read", lambda: raw)
        monkeypatch.setitem(DATASETS, "own", f"{__name__}:read")
        settings = {**node("digits"), "name": "own", "original": None}
        with pytest.raises(UserError) as caught:
            dataset.load(settings)
        return caught.value.lines

    return lines


def read() -> RawDataset[InMemory]:
    raise NotImplementedError  # replaced by the fixture


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.bool])
def test_several_labels_of_a_sample_are_refused(refusal, dtype):
    labels = torch.eye(3).repeat(4, 1).to(dtype)
    first, hint = refusal(IMAGES, labels)
    name = str(dtype).removeprefix("torch.")
    assert first == f"dataset 'own': the labels of its train split are (12, 3) {name}."
    assert hint == (
        "  they must be (12,) int64, one class for each sample; samples of several classes at once"
        " (multi-hot labels) can't be learned"
    )


def test_labels_that_are_no_whole_numbers_are_refused(refusal):
    assert refusal(IMAGES, LABELS.float())[0] == (
        "dataset 'own': the labels of its train split are (12,) float32."
    )


def test_more_labels_than_images_are_refused(refusal):
    first, hint = refusal(IMAGES[:9], LABELS)
    assert first == "dataset 'own': its train split has 9 images and 12 labels."
    assert hint == "  each image must have one label; get the files of the dataset anew"


@pytest.mark.parametrize(
    "images",
    [IMAGES.float(), IMAGES.squeeze(-1), IMAGES.expand(-1, -1, -1, 2), IMAGES.permute(0, 3, 1, 2)],
)
def test_images_of_another_form_are_refused(refusal, images):
    first, hint = refusal(images, LABELS)
    shape, name = tuple(images.shape), str(images.dtype).removeprefix("torch.")
    assert first == f"dataset 'own': the images of its train split are {shape} {name}."
    assert hint == "  they must be (N, H, W, C) uint8, with 1 or 3 channels"


def test_a_split_without_images_is_refused(refusal):
    first, _ = refusal(IMAGES[:0], LABELS[:0])
    assert first == "dataset 'own': its train split has no images."
