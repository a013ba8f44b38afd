"""Batches follow from the arguments alone, and are the same from memory and from a stream."""

import os
from dataclasses import dataclass, replace

import pytest
import torch
from torch.utils.data import get_worker_info
from torchvision import transforms

from kdrun import dataset
from kdrun.core.errors import BadSample, UserError
from kdrun.core.types import Batch
from kdrun.dataset.data import Data, Split
from kdrun.dataset.image.feeds import MemoryFeed, StreamFeed, WorkerDied
from kdrun.dataset.image.images import InMemory
from kdrun.dataset.image.normalizer import Normalizer

EPOCH = {"epoch": 3, "view": 3, "seed": 5}


@pytest.fixture
def data(node) -> Data:
    return dataset.load(node("fake", train_size=200, test_size=50, image_size=12))


def streamed(split: Split, workers: int = 0) -> Split:
    """The same split, read through a loader instead of from memory."""
    feed = split.feed
    assert isinstance(feed, MemoryFeed)
    images = InMemory(feed.images, split.targets)
    stream = StreamFeed(images, feed.augment, workers, torch.device("cpu"))
    return replace(split, feed=stream)


def by_index(batches) -> dict[int, torch.Tensor]:
    return {
        int(position): image
        for batch in batches
        for position, image in zip(batch.index, batch.inputs, strict=True)
    }


def assert_equal(first: Batch, second: Batch) -> None:
    for name in ("inputs", "targets", "index", "view"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name


def assert_all_equal(first, second) -> None:
    first, second = list(first), list(second)
    assert len(first) == len(second) > 0
    for batch, expected in zip(first, second, strict=True):
        assert_equal(batch, expected)


def test_a_batch_has_the_targets_index_and_view_of_its_inputs(data):
    batch = next(data.train.epoch(**EPOCH, batch_size=16))
    assert batch.inputs.shape == (16, 3, 12, 12)
    assert batch.inputs.dtype == torch.float32
    assert batch.inputs.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(batch.targets, data.train.targets[batch.index])
    assert batch.view.tolist() == [3] * 16
    assert batch.index.dtype == batch.view.dtype == batch.targets.dtype == torch.int64


def test_an_epoch_leaves_out_samples_that_fill_no_batch(data):
    batches = list(data.train.epoch(**EPOCH, batch_size=64))
    assert data.train.size == 180
    assert [len(batch.targets) for batch in batches] == [64, 64]
    assert data.train.steps(64) == 2


def test_a_split_smaller_than_a_batch_is_one_batch(data):
    batches = list(data.train.epoch(**EPOCH, batch_size=500))
    assert data.train.steps(500) == 1
    assert [sorted(batch.index.tolist()) for batch in batches] == [list(range(180))]


def test_evaluation_has_every_sample_once_in_order(data):
    batches = list(data.test.batches(16))
    assert torch.cat([batch.index for batch in batches]).tolist() == list(range(50))
    assert torch.equal(torch.cat([batch.targets for batch in batches]), data.test.targets)
    assert [len(batch.targets) for batch in batches] == [16, 16, 16, 2]
    assert {int(view) for batch in batches for view in batch.view} == {0}


def test_an_epoch_repeats(data):
    assert_all_equal(
        data.train.epoch(**EPOCH, batch_size=16), data.train.epoch(**EPOCH, batch_size=16)
    )


def test_another_seed_or_epoch_gives_another_order(data):
    orders = [
        torch.cat([b.index for b in data.train.epoch(epoch, 0, seed, 16)]).tolist()
        for epoch, seed in ((0, 0), (1, 0), (0, 1))
    ]
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]


def test_another_view_gives_other_pixels_in_the_same_order(data):
    first, second = (next(data.train.epoch(0, view, 0, 64)) for view in (0, 1))
    assert torch.equal(first.index, second.index)
    assert not torch.equal(first.inputs, second.inputs)


def test_a_view_of_a_sample_is_the_same_in_every_epoch(data):
    first, second = (by_index(data.train.epoch(epoch, 0, 0, 60)) for epoch in (0, 1))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[position], second[position]) for position in first)


@pytest.mark.parametrize("make", [lambda split: split, streamed])
def test_augmentation_does_not_depend_on_the_batch_size(data, make):
    split = make(data.train)
    large, small = (by_index(split.epoch(**EPOCH, batch_size=size)) for size in (60, 7))
    shared = large.keys() & small.keys()
    assert len(shared) >= 175
    assert all(torch.equal(large[position], small[position]) for position in shared)


@pytest.mark.parametrize("make", [lambda split: split, streamed])
def test_an_epoch_resumes_at_the_start_step(data, make):
    split = make(data.train)
    full = list(split.epoch(**EPOCH, batch_size=16))
    for start in (1, 7, 10):
        assert_all_equal(split.epoch(**EPOCH, batch_size=16, start_step=start), full[start:])
    assert list(split.epoch(**EPOCH, batch_size=16, start_step=11)) == []


def test_an_epoch_does_not_touch_torch_state(data):
    before = torch.get_rng_state()
    list(data.train.epoch(**EPOCH, batch_size=16))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_memory_and_stream_give_the_same_batches(data, workers):
    split = streamed(data.train, workers)
    for augment in (True, False):
        assert_all_equal(
            data.train.epoch(**EPOCH, batch_size=32, augment=augment),
            split.epoch(**EPOCH, batch_size=32, augment=augment),
        )
    if not workers:
        assert_all_equal(data.train.batches(50), split.batches(50))


def test_without_augmentation_inputs_are_the_normalized_images(data):
    normalize = transforms.Normalize(data.info.inputs.mean, data.info.inputs.std)
    for batch in data.train.epoch(**EPOCH, batch_size=64, augment=False):
        images = data.train.feed.images[batch.index].permute(0, 3, 1, 2)
        assert torch.allclose(batch.inputs, normalize(images / 255), atol=2e-6)


def test_inputs_of_the_training_split_have_mean_0_and_deviation_1(data):
    inputs = torch.cat([batch.inputs for batch in data.train.batches(64)])
    assert inputs.mean((0, 2, 3)).abs().max() < 1e-5
    assert (inputs.std((0, 2, 3)) - 1).abs().max() < 1e-4


def test_inputs_come_in_the_type_and_format_asked_for(data):
    plain = next(data.test.batches(8))
    half = next(data.test.batches(8, dtype=torch.bfloat16, channels_last=False))
    assert half.inputs.dtype == torch.bfloat16
    assert half.inputs.is_contiguous()
    assert torch.equal(half.inputs, plain.inputs.to(torch.bfloat16))


def test_all_zero_augmentation_is_off(node):
    data = dataset.load(node("fake", train_size=50, augment={"crop": 0, "flip": False}))
    assert_all_equal(
        data.train.epoch(**EPOCH, batch_size=16),
        data.train.epoch(**EPOCH, batch_size=16, augment=False),
    )


def test_a_large_set_is_streamed(node):
    small = {"train_size": 60, "test_size": 20, "image_size": 8}
    kept, read = (dataset.load(node("fake", **small, memory_limit=limit)) for limit in (1.0, 1e-6))
    assert isinstance(kept.train.feed, MemoryFeed)
    assert isinstance(read.train.feed, StreamFeed)
    assert kept.digest == read.digest
    assert kept.notes[1].endswith("in memory (0 MB)")
    assert read.notes[1].endswith("streamed")
    assert_all_equal(
        kept.train.epoch(**EPOCH, batch_size=8), read.train.epoch(**EPOCH, batch_size=8)
    )


@dataclass(frozen=True)
class Broken(InMemory):
    """Images that can't be read in a worker process, or that kill it."""

    how: str = "die"

    def read(self, index: torch.Tensor) -> torch.Tensor:
        if get_worker_info() is None:
            raise AssertionError("read outside of a worker")
        if self.how == "die":
            os._exit(1)
        raise UserError("the image 'cat.jpg' can't be read.", "  repair it")


def broken(split: Split, how: str) -> Split:
    stream = streamed(split, workers=1)
    images = Broken(torch.zeros(1), split.targets, how)
    return replace(stream, feed=replace(stream.feed, images=images))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_dead_worker_raises_an_error_with_a_message(data):
    with pytest.raises(WorkerDied) as caught:
        list(broken(data.train, "die").batches(16))
    assert caught.value.lines[0] == "a process that reads images died."
    assert caught.value.status == 8


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_error_in_a_worker_arrives_with_its_message(data):
    with pytest.raises(BadSample) as caught:
        list(broken(data.train, "raise").batches(16))
    assert caught.value.lines == ("the image 'cat.jpg' can't be read.", "  repair it")
    assert caught.value.status == 1


def test_normalizer_keeps_grey_and_rectangular_images_right():
    images = torch.arange(2 * 3 * 5, dtype=torch.uint8).view(1, 2, 3, 5)
    mean, std = [0.1, 0.2, 0.3, 0.4, 0.5], [0.5, 0.4, 0.3, 0.2, 0.1]
    got = Normalizer.of(mean, std, width=3)(images, torch.float32, channels_last=True)
    expected = transforms.Normalize(mean, std)(images.permute(0, 3, 1, 2) / 255)
    assert torch.allclose(got, expected, atol=1e-6)


@pytest.mark.gpu
def test_batches_on_a_gpu_equal_those_on_the_cpu(data):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    there = data.to(torch.device("cuda"))
    stream = streamed(data.train, workers=1).to(torch.device("cuda"))
    for split in (there.train, stream):
        batches = list(split.epoch(**EPOCH, batch_size=16))
        assert all(batch.inputs.is_cuda and batch.targets.is_cuda for batch in batches)
        moved = [
            Batch(batch.inputs.cpu(), batch.targets.cpu(), batch.index.cpu(), batch.view.cpu())
            for batch in batches
        ]
        for batch, expected in zip(moved, data.train.epoch(**EPOCH, batch_size=16), strict=True):
            assert torch.allclose(batch.inputs, expected.inputs, atol=1e-6)
            assert torch.equal(batch.index, expected.index)
            assert torch.equal(batch.targets, expected.targets)
