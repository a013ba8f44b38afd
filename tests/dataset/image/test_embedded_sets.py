"""Datasets without files: scikit-learn's digits and generated images."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from kdrun import dataset
from kdrun.dataset.image.digits import read_digits
from kdrun.dataset.image.fake import read_fake


def test_digits_are_scikit_learns_spread_over_all_bytes():
    raw, digits = read_digits(), load_digits()
    assert raw.classes == tuple("0123456789")
    assert raw.test is None
    assert raw.train.targets.tolist() == digits.target.tolist()
    levels = raw.train.images.squeeze(-1).numpy()
    assert len(np.unique(levels)) == 17
    assert levels.min() == 0
    assert levels.max() == 255
    assert np.abs(levels / 255 - digits.images / 16).max() <= 0.5 / 255


def test_fake_has_the_sizes_and_classes_asked_for(node):
    data = dataset.load(
        node("fake", num_classes=7, train_size=140, test_size=21, image_size=5, channels=1)
    )
    assert data.info.num_classes == 7
    assert data.info.inputs.image_size == (5, 5)
    assert data.info.inputs.channels == 1
    assert data.train.size + data.validation.size == 140
    assert data.test.targets.bincount().tolist() == [3] * 7


def test_fake_images_look_like_their_class():
    raw = read_fake(5, 200, 100, image_size=16, channels=3, split_seed=0)
    train, test = (part.images.flatten(1).float() for part in (raw.train, raw.test))
    centers = torch.stack([train[raw.train.targets == label].mean(0) for label in range(5)])
    assert torch.equal(torch.cdist(test, centers).argmin(1), raw.test.targets)


@pytest.mark.parametrize("seed", [0, 1])
def test_fake_follows_from_the_split_seed(seed):
    first, second = (read_fake(3, 10, 10, 8, 3, split_seed=seed) for _ in range(2))
    other = read_fake(3, 10, 10, 8, 3, split_seed=seed + 1)
    assert torch.equal(first.train.images, second.train.images)
    assert not torch.equal(first.train.images, other.train.images)
