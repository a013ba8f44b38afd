"""What is made of texts: cutting, several tokenizers, unlabeled and augmented texts, digests."""

import numpy as np
import pytest
import torch
from text_data import dataset_node, texts_of

from kdrun.core.errors import UserError
from kdrun.core.inputs.text import tokenizer_key
from kdrun.dataset.text.augment import more_texts
from kdrun.dataset.text.encode import encode
from kdrun.dataset.text.settings import TextAugment
from kdrun.dataset.text.texts import MASK, Texts
from kdrun.dataset.text.texts import texts_of as make_texts
from kdrun.dataset.text.tokenizers.byte_values import Bytes
from kdrun.dataset.text.tokenizers.saved import read_tokenizer

ROWS = [f"Sentence {n} has some words" for n in range(20)]


@pytest.fixture
def table(write):
    rows = "".join(f"{text},{'ab'[n % 2]}\n" for n, text in enumerate(ROWS))
    return write("all.csv", "text,label\n" + rows)


def bytes_of(text: str, longest: int, cut: str, second: str | None = None) -> list[int]:
    other = None if second is None else (second,)
    texts = Texts((text,), other, torch.zeros(1, dtype=torch.int64))
    return encode(Bytes(), texts, longest, cut).tokens.ids.tolist()


def test_longer_texts_are_cut():
    ids = [4 + value for value in b"abcde"]
    assert bytes_of("abcde", 5, "head") == ids
    assert bytes_of("abcde", 3, "head") == ids[:3]
    assert bytes_of("abcde", 3, "tail") == ids[-3:]
    assert bytes_of("abcde", 3, "both") == [*ids[:2], ids[-1]]


def test_of_a_pair_the_longer_text_is_cut_first():
    a, b, separator = 4 + ord("a"), 4 + ord("b"), 3
    assert bytes_of("aaaa", 6, "head", "b") == [a, a, a, a, separator, b]
    assert bytes_of("aaaaaa", 6, "head", "b") == [a, a, a, a, separator, b]
    assert bytes_of("aaaaaa", 6, "head", "bbbbbb") == [a, a, a, separator, b, b]
    assert bytes_of("a", 5, "head", "bbbbbb") == [a, separator, b, b, b]


def test_an_empty_text_is_one_unknown_token():
    assert bytes_of("", 4, "head") == [1]
    assert bytes_of("", 4, "head", "") == [3, 1]


def test_cut_and_empty_texts_are_counted(write, load):
    rows = [f"{text},{'ab'[n % 2]}\n" for n, text in enumerate(["", *ROWS])]
    write("train.csv", "text,label\n" + "".join(rows))
    write("test.csv", 'text,label\n"",a\n')
    notes = " | ".join(load("table", "tokenizer=bytes", longest=8).notes)
    assert "longer than 8 tokens of bytes were cut to their first ones" in notes
    assert "empty texts have one unknown token" in notes
    assert "1 of test" in notes


def test_duplicates_between_splits_are_counted(write, load, table):
    write("test.csv", "text,label\n" + f"  {ROWS[0].upper()} ,a\nnew,b\n")
    notes = load("table", files={"train": "all.csv", "test": "test.csv"}).notes
    (note,) = [note for note in notes if "as well" in note]
    assert note.startswith("1 text of test (50.0 %) is in ")


def test_each_network_has_its_own_encoding_and_equal_tokenizers_share_one(load, table):
    words = dataset_node("docstrings")["tokenizer"]
    nodes = [words, {"name": "bytes"}, {**words, "lowercase": False}, {**words, "size": 29999}]
    data = load("table", tokenizers=nodes)
    assert list(data.tokenizers) == ["", "bytes", "words"]
    inputs = data.info.inputs
    networks = [{"name": "text_cnn", "tokenizer": node} for node in [None, *nodes]]
    names = [inputs.encoding_of(network).name for network in networks]
    assert names == ["", "", "bytes", "words", ""]
    assert inputs.networks.keys() == {tokenizer_key(network) for network in networks[1:]}
    batch = next(data.train.epoch(0, 0, 0, 4))
    assert batch.inputs.keys() == {
        f"{name}{key}" for name in ("", "bytes:", "words:") for key in ("tokens", "mask")
    }
    shown = [
        data.tokenizers["bytes"].decode(ids[mask].tolist())
        for ids, mask in zip(batch.inputs["bytes:tokens"], batch.inputs["bytes:mask"], strict=True)
    ]
    assert shown == [texts_of(data)[i] for i in batch.index.tolist()]


def test_tokenizers_learn_from_the_training_split_alone(load, table):
    data = load("table", tokenizer={"min_count": 1})
    words = {word.lower() for text in texts_of(data) for word in text.split()}
    assert set(data.tokenizers[""].entries) == words


def test_the_digest_has_all_that_networks_see(load, table):
    plain = load("table").digest
    assert load("table").digest == plain
    changes = [
        {"longest": 3},
        {"cut": "tail"},
        {"tokenizer": {"lowercase": False}},
        {"split_seed": 1},
        {"unlabeled": 0.5},
        {"augment": {"copies": 1}},
    ]
    digests = {load("table", **change).digest for change in changes}
    assert len({plain, *digests}) == len(changes) + 1
    assert load("table", tokenizers=[{"name": "bytes"}]).digest != plain


def test_a_file_of_unlabeled_texts(write, load, table):
    write("more/lines.txt", "one more\nand more\n")
    write("more/rows.jsonl", '{"text": "from a table"}\n')
    data = load("table", unlabeled=str(table / "more"))
    assert texts_of(data)[-3:] == ["one more", "and more", "from a table"]
    assert data.train.has_label.tolist() == [True] * (data.train.size - 3) + [False] * 3
    assert data.info.train_size == data.train.size == load("table").train.size + 3
    assert data.labeled_only().train.size == data.train.size - 3
    with pytest.raises(UserError, match="no file or folder"):
        load("table", unlabeled=str(table / "nowhere"))


def test_augmented_texts_have_no_label_and_masks_are_mask_tokens(load, table):
    augment = {"copies": 3, "mask": 0.5, "swap": 0.0, "ngram": 0.0}
    data = load("table", augment=augment, tokenizer={"min_count": 1})
    plain = load("table").train.size
    assert plain < data.train.size <= 4 * plain
    assert not data.train.has_label[plain:].any()
    assert "of them augmented and without labels" in " ".join(data.notes)
    texts, masks = texts_of(data), 0
    for batch in data.train.batches(7):
        for index, ids in zip(batch.index.tolist(), batch.inputs["tokens"].tolist(), strict=True):
            assert ids.count(2) == texts[index].count("[MASK]")
            masks += ids.count(2)
    assert masks > plain


AUGMENT = {"copies": 40, "mask": 0.0, "swap": 0.0, "ngram": 0.0, "longest_ngram": 5}


def versions_of(texts: list[str], **changes) -> list[str]:
    made = more_texts(make_texts(texts, [0] * len(texts)), TextAugment(**{**AUGMENT, **changes}), 0)
    return list(made.first)


def test_versions_that_change_nothing_are_left_out():
    assert versions_of(["a b  c", "d"]) == []


def test_ngrams_are_words_in_a_row():
    made = versions_of(["a b c d e f g"], ngram=1.0)
    assert made
    assert all(" ".join("abcdefg").find(text) >= 0 and len(text.split()) <= 5 for text in made)
    assert {len(text.split()) for text in made} == {1, 2, 3, 4, 5}


def test_words_are_masked_and_swapped_as_often_as_asked():
    texts = [" ".join(f"w{n}x{i}" for i in range(50)) for n in range(40)]
    made = " ".join(versions_of(texts, copies=5, mask=0.1, swap=0.2)).split()
    before = " ".join(texts * 5).split()
    share = np.mean([word == MASK for word in made])
    swapped = np.mean([word not in (MASK, old) for word, old in zip(made, before, strict=True)])
    assert share == pytest.approx(0.1, abs=0.01)
    assert swapped == pytest.approx(0.2, abs=0.015)


def test_masks_stand_between_the_tokens_of_fragments():
    texts = make_texts(["plain", f"a {MASK} b", f"{MASK}", f"{MASK} {MASK}c"], [0] * 4)
    tokens = encode(Bytes(), texts, 20, "head", masked=3).tokens
    shown = [
        Bytes().tokens(tokens.ids[tokens.offsets[n] : tokens.offsets[n + 1]].tolist())
        for n in range(4)
    ]
    assert shown[0] == list("plain")
    assert shown[1] == ["a", " ", "[MASK]", " ", "b"]
    assert shown[2] == ["[MASK]"]
    assert shown[3] == ["[MASK]", " ", "[MASK]", "c"]


def test_the_data_keeps_tokenizers_that_can_be_stored(load, table):
    data = load("table")
    content = data.tokenizers[""].to_bytes()
    again = read_tokenizer(content, "x")
    assert again.encode(ROWS).ids.tolist() == data.tokenizers[""].encode(ROWS).ids.tolist()
    assert data.info.inputs.encodings[0].size == again.size


def test_masked_texts_are_shown_with_a_name_for_the_mask():
    assert make_texts([f"a {MASK}"], [0]).shown(0) == "a [MASK]"
