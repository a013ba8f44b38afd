"""Samples without labels: with hidden labels, or images of another folder."""

from pathlib import Path

import pytest
import torch

from kdrun import dataset
from kdrun.core.errors import ConfigError, UserError
from kdrun.dataset.merged_classes import merge_classes


def test_hidden_labels_keep_each_classes_share_and_are_gone(node) -> None:
    full, some = dataset.load(node("digits")), dataset.load(node("digits", unlabeled=0.75))
    train = some.train
    assert train.ids.tolist() == full.train.ids.tolist()
    assert int(train.has_label.sum()) == full.train.size - round(0.75 * full.train.size)
    assert train.targets[train.has_label].tolist() == full.train.targets[train.has_label].tolist()
    assert not train.targets[~train.has_label].any()
    shares = full.train.targets[train.has_label].bincount() / full.train.targets.bincount()
    assert (shares - 0.25).abs().max() < 0.01
    assert some.validation.labeled is None
    assert some.test.targets.tolist() == full.test.targets.tolist()
    assert some.info.inputs == full.info.inputs


def test_which_labels_are_hidden_follows_from_the_splits_seed(node) -> None:
    first, same, other = (
        dataset.load(node("digits", unlabeled=0.5, split_seed=seed, subset=400)).train
        for seed in (0, 0, 1)
    )
    assert first.has_label.tolist() == same.has_label.tolist()
    assert first.ids[first.has_label].tolist() != other.ids[other.has_label].tolist()


def test_batches_say_which_samples_have_a_label(node) -> None:
    train = dataset.load(node("digits", unlabeled=0.5)).train
    for batch in train.epoch(0, 0, seed=3, batch_size=100):
        assert batch.labeled.tolist() == train.has_label[batch.index].tolist()
    plain = dataset.load(node("digits", unlabeled=0)).train
    assert next(plain.batches(4)).labeled is None


def test_labeled_only_has_the_labeled_samples(node) -> None:
    data = dataset.load(node("digits", unlabeled=0.9))
    labeled = data.labeled_only()
    assert labeled.train.ids.tolist() == data.train.ids[data.train.has_label].tolist()
    assert labeled.info.train_size == labeled.train.size == int(data.train.has_label.sum())
    assert labeled.train.labeled is None
    assert labeled.digest != data.digest
    (shown,) = labeled.train.batches(10_000)
    (full,) = data.train.batches(10_000)
    assert torch.equal(shown.inputs, full.inputs[data.train.has_label])


def test_labeled_samples_are_repeated_in_turn(node) -> None:
    data = dataset.load(node("digits", unlabeled=0.9))
    once, repeated = data.labeled_only(), data.labeled_only(repeat=True)
    assert repeated.train.size == repeated.info.train_size == data.train.size
    whole, rest = divmod(data.train.size, once.train.size)
    assert repeated.train.ids.tolist() == once.train.ids.tolist() * whole + (
        once.train.ids[:rest].tolist()
    )
    assert repeated.train.labeled is None
    assert len({data.digest, once.digest, repeated.digest}) == 3
    assert dataset.load(node("digits")).labeled_only(repeat=True).train.size == data.train.size


@pytest.mark.parametrize("place", ["", "a", "b/c"])
def test_images_of_a_folder_come_after_those_of_the_dataset(node, folder, place: str) -> None:
    path = folder(f"more/{place}", 5, size=(16, 12), mode="RGB").joinpath("more")
    plain = dataset.load(node("digits"))
    data = dataset.load(node("digits", unlabeled=str(path)))
    assert data.train.size == plain.train.size + 5 == data.info.train_size
    assert data.train.has_label.tolist() == [True] * plain.train.size + [False] * 5
    assert data.digest != plain.digest
    (shown,) = data.train.batches(10_000)
    (expected,) = plain.train.batches(10_000)
    assert torch.equal(shown.inputs[:-5], expected.inputs)
    assert shown.inputs[-5:].std() > 0.1
    # A teacher of the labeled samples is the one of the plain set.
    assert data.labeled_only().digest == plain.digest


def test_streamed_images_are_those_in_memory(node, folder) -> None:
    for name in ("cat", "dog"):
        root = folder(f"set/{name}", 12).joinpath("set")
    more = folder("more/x", 6).joinpath("more")
    given = {"root": str(root), "unlabeled": str(more), "workers": 0}
    memory = dataset.load(node("imagefolder", **given))
    streamed = dataset.load(node("imagefolder", memory_limit=0, **given))
    plain = dataset.load(node("imagefolder", root=str(root), memory_limit=0, workers=0))
    (first,), (other,) = memory.train.batches(100), streamed.train.batches(100)
    assert torch.equal(first.inputs, other.inputs)
    assert first.labeled.tolist() == other.labeled.tolist()
    assert int((~first.labeled).sum()) == 6
    assert streamed.labeled_only().digest == plain.digest
    assert streamed.info.inputs.mean == plain.info.inputs.mean


def test_the_digest_changes_with_the_labels_that_are_hidden(node) -> None:
    shares = (None, 0.2, 0.5)
    assert len({dataset.load(node("digits", unlabeled=share)).digest for share in shares}) == 3


def test_samples_without_a_label_stay_when_classes_are_merged(node) -> None:
    data = dataset.load(node("digits", unlabeled=0.5))
    merged = merge_classes(data, {"a": [3], "b": [4, 5]}, "scheme.map")
    assert int((~merged.train.has_label).sum()) == int((~data.train.has_label).sum())
    kept = torch.isin(data.train.targets, torch.tensor([3, 4, 5])) & data.train.has_label
    assert int(merged.train.has_label.sum()) == int(kept.sum())
    assert merged.labeled_only().train.targets.bincount().tolist() == [
        int((data.train.targets[kept] == 3).sum()),
        int((data.train.targets[kept] != 3).sum()),
    ]


@pytest.mark.parametrize("value", [-0.1, 1.5, True, [1], ""])
def test_a_wrong_kind_is_refused(node, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        dataset.load(node("digits", unlabeled=value))
    message = str(caught.value)
    assert message.startswith("dataset.unlabeled: ")
    assert message.endswith("should be a folder, a share from 0 to 1, or null")


def test_a_class_without_a_label_is_refused_unless_all_are_hidden(node) -> None:
    with pytest.raises(UserError, match=r"no label is left of .* of 10 classes"):
        dataset.load(node("digits", unlabeled=0.998))
    assert not dataset.load(node("digits", unlabeled=1)).train.has_label.any()


def test_a_folder_without_images_is_refused(node, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"of dataset\.unlabeled does not exist"):
        dataset.load(node("digits", unlabeled=str(tmp_path / "nowhere")))
    with pytest.raises(UserError, match="has no images"):
        dataset.load(node("digits", unlabeled=str(tmp_path)))
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(UserError, match=r"bad\.png"):
        dataset.load(node("digits", unlabeled=str(tmp_path)))
