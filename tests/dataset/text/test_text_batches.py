"""Batches of texts: their order, padding, and exact resume."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from text_data import dataset_node

from kdrun import dataset
from kdrun.core.inputs.text import Encoding
from kdrun.core.inputs.types import to_device
from kdrun.core.seeds import generator
from kdrun.dataset.data import Split
from kdrun.dataset.text.buckets import bucket, longest_first
from kdrun.dataset.text.feed import AsItIs, EncodedSplit, TextFeed
from kdrun.dataset.text.texts import texts_of
from kdrun.dataset.text.token_lists import TokenLists

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=300)


def split_of(lengths: list[int]) -> Split:
    """Return texts of these lengths, in two encodings; the ids of text n are n + 1."""
    encodings = [Encoding(name, len(lengths) + 1, 0, None, 12, name) for name in ("", "bpe")]
    lists = [[number + 1] * length for number, length in enumerate(lengths)]
    doubled = [ids + ids for ids in lists]
    feed = TextFeed(
        texts_of([""] * len(lists), [0] * len(lists)),
        (
            EncodedSplit.of(encodings[0], TokenLists.of(lists)),
            EncodedSplit.of(encodings[1], TokenLists.of(doubled)),
        ),
    )
    ids = torch.arange(len(lists))
    return Split("train", ids, ids % 2, 2, feed, AsItIs(), ids % 2)


@given(LENGTHS, st.integers(1, 40), st.integers(0, 3))
def test_buckets_are_a_permutation_that_the_seed_decides(lengths, size, seed):
    order = torch.randperm(len(lengths), generator=generator(seed))
    made = [
        bucket(order, torch.tensor(lengths), size, generator(seed, "batches")) for _ in range(2)
    ]
    assert sorted(made[0].tolist()) == list(range(len(lengths)))
    assert made[0].tolist() == made[1].tolist()
    rest = len(lengths) % size
    assert made[0][len(lengths) - rest :].tolist() == order[len(lengths) - rest :].tolist()


@given(LENGTHS, st.integers(1, 40))
def test_evaluation_has_each_text_once_the_longest_first(lengths, size):
    order = longest_first(torch.tensor(lengths), size)
    assert sorted(order.tolist()) == list(range(len(lengths)))
    longest = [max(lengths[i] for i in batch) for batch in order.split(size)]
    assert longest == sorted(longest, reverse=True)
    assert all(batch.tolist() == sorted(batch.tolist()) for batch in order.split(size))


def equal(batch, other) -> bool:
    return (
        torch.equal(batch.index, other.index)
        and torch.equal(batch.targets, other.targets)
        and batch.inputs.keys() == other.inputs.keys()
        and all(torch.equal(batch.inputs[name], other.inputs[name]) for name in batch.inputs)
    )


@settings(max_examples=25)
@given(LENGTHS, st.integers(1, 20), st.booleans())
def test_an_epoch_is_resumed_exactly_from_every_step(lengths, size, whole):
    split = split_of(lengths)
    full = list(split.epoch(3, 0, 5, size, whole=whole))
    for start in range(len(full) + 1):
        rest = list(split.epoch(3, 0, 5, size, start_step=start, whole=whole))
        assert len(rest) == len(full) - start
        assert all(map(equal, rest, full[start:]))


@given(LENGTHS, st.integers(1, 20))
def test_a_batch_has_its_texts_in_each_encoding_and_no_more_padding_than_needed(lengths, size):
    for batch in split_of(lengths).batches(size):
        for name, factor in (("", 1), ("bpe:", 2)):
            tokens, mask = batch.inputs[f"{name}tokens"], batch.inputs[f"{name}mask"]
            assert (tokens.dtype, mask.dtype) == (torch.int64, torch.bool)
            expected = [factor * lengths[i] for i in batch.index.tolist()]
            assert mask.sum(1).tolist() == expected
            assert tokens.shape == mask.shape == (len(expected), max(expected))
            assert ((tokens == batch.index[:, None] + 1) == mask).all()
            assert ((tokens == 0) == ~mask).all()
            assert (mask[:, 1:] <= mask[:, :-1]).all()


def test_epochs_and_seeds_differ():
    split = split_of(np.random.default_rng(0).integers(1, 40, 500).tolist())
    orders = [
        torch.cat([batch.index for batch in split.epoch(epoch, 0, seed, 16)]).tolist()
        for epoch, seed in ((0, 0), (1, 0), (0, 1), (0, 0))
    ]
    assert orders[0] == orders[3]
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_little_of_a_batch_is_padding_and_batches_are_mixed():
    lengths = np.random.default_rng(0).geometric(0.1, 5000).clip(1, 60).tolist()
    tokens = places = 0
    classes = []
    for batch in split_of(lengths).epoch(0, 0, 0, 32):
        tokens += int(batch.inputs["mask"].sum())
        places += batch.inputs["mask"].numel()
        classes.append(float(batch.targets.double().mean()))
    assert 1 - tokens / places < 0.08
    assert 0.05 < np.std(classes) < 0.12  # 0.088 if the 32 labels were drawn one by one


def test_selected_texts_are_served_by_their_new_positions():
    split = split_of([3, 1, 4, 1, 5]).select(torch.tensor([4, 1]))
    (batch,) = split.batches(2)
    assert batch.inputs["tokens"][:, 0].tolist() == [5, 2]
    assert split.feed.texts.targets.tolist() == [0, 0]


@pytest.mark.data
def test_sst2_has_about_as_little_padding_as_sorted_text_can(shared_data):
    node = dataset_node("table", root=str(shared_data / "sst2"), text="sentence")
    tokens = places = 0
    for batch in dataset.load(node).train.epoch(0, 0, 0, 32):
        tokens += int(batch.inputs["mask"].sum())
        places += batch.inputs["mask"].numel()
    assert 1 - tokens / places < 0.06


@pytest.mark.gpu
def test_batches_on_a_gpu_are_those_of_the_cpu():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    split = split_of(np.random.default_rng(0).integers(1, 40, 200).tolist())
    moved = split.to(torch.device("cuda"))
    for batch, expected in zip(moved.epoch(0, 0, 0, 16), split.epoch(0, 0, 0, 16), strict=True):
        assert batch.inputs["tokens"].device.type == "cuda"
        inputs = to_device(batch.inputs, torch.device("cpu"))
        assert all(torch.equal(inputs[name], expected.inputs[name]) for name in inputs)


def test_networks_get_the_encodings_that_they_read_alone(write, load):
    for name in ("a", "b"):
        write(f"{name}.txt", f"one {name}\n" * 20)
    bag = {"name": "text_bag", "tokenizer": None}
    other = {"name": "text_bag", "tokenizer": {"name": "bytes"}}
    data = load("sentences", tokenizers=[other["tokenizer"]])

    def names(*nodes):
        return {*next(iter(data.for_networks(nodes).train.batches(2))).inputs}

    assert names(bag) == {"tokens", "mask"}
    assert names(other) == {"bytes:tokens", "bytes:mask"}
    both = {"tokens", "mask", "bytes:tokens", "bytes:mask"}
    assert names(bag, other) == both
    assert names({"name": "committee", "members": [bag, other]}) == both
