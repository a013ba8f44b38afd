"""Tokenizers in folders of Hugging Face networks, which come from strangers."""

import json
import shutil
import time
from pathlib import Path

import pytest
from text_data import dataset_node

from kdrun.core.errors import UserError
from kdrun.core.registry import build
from kdrun.dataset.text.tokenizers.folder import read_folder
from kdrun.dataset.text.tokenizers.saved import read_tokenizer
from kdrun.dataset.text.tokenizers.stranger_json import KNOWN_PATTERNS
from kdrun.dataset.text.tokenizers.table import TOKENIZERS

TEXTS = ["the quick brown fox", "jumps over the lazy dog"] * 5


def trained(name: str) -> dict:
    node = dataset_node("docstrings", f"tokenizer={name}", tokenizer={"min_count": 1})["tokenizer"]
    return json.loads(build("tokenizer", TOKENIZERS, node, texts=TEXTS).tokenizer_json())


@pytest.fixture
def put(tmp_path: Path):
    """Write a tokenizer.json; returns its folder."""

    def write(content: dict, **files) -> str:
        (tmp_path / "tokenizer.json").write_text(json.dumps(content))
        for name, record in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(record))
        return str(tmp_path)

    return write


def split_by(pattern: str) -> dict:
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }


def test_an_evil_regular_expression_is_refused_at_once(put):
    content = trained("bpe")
    content["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [split_by("(?=(a|a|b)*$)(a+)+$"), content["pre_tokenizer"]],
    }
    started = time.monotonic()
    with pytest.raises(UserError) as error:
        read_folder(["a" * 40 + "!"], put(content)).encode(["a" * 40 + "!"])
    assert time.monotonic() - started < 5
    assert "(?=(a|a|b)*$)(a+)+$" in str(error.value)
    assert "tokenizer.json" in str(error.value)


def test_an_evil_regular_expression_in_a_saved_tokenizer_is_refused(put):
    content = json.loads(read_folder(TEXTS, put(trained("bpe"))).to_bytes())
    content["tokenizer"]["normalizer"] = {
        "type": "Replace",
        "pattern": {"Regex": "(a+)+$"},
        "content": "",
    }
    with pytest.raises(UserError, match="regular expression"):
        read_tokenizer(json.dumps(content).encode(), "tokenizer.json")


@pytest.mark.parametrize("pattern", sorted(KNOWN_PATTERNS))
def test_known_regular_expressions_are_read_and_end_soon(pattern, put):
    content = trained("bpe")
    content["pre_tokenizer"]["use_regex"] = False
    content["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [split_by(pattern), content["pre_tokenizer"]],
    }
    tokenizer = read_folder([], put(content))
    started = time.monotonic()
    for text in ("a" * 20_000, " " * 20_000, "'" * 20_000, "1\n" * 10_000, "aB1 '\n" * 3000):
        assert tokenizer.decode(tokenizer.encode([text]).ids.tolist()) == text
    assert time.monotonic() - started < 20


HOSTILE = {
    "a rule that doubles itself": (
        {
            "normalizer": {
                "type": "Sequence",
                "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}]
                * 40,
            }
        },
        "times as long",
    ),
    "an id far beyond": (
        {"added_tokens": [{"id": 3_000_000, "content": "x", "special": True}]},
        "has the id 3,000,000",
    ),
    "an id that is no number": ({"added_tokens": [{"id": "x"}]}, "has a token with the id 'x'"),
    "no model": ({"model": None}, "it has no model"),
    "a model of another kind": ({"model": {"type": "x", "vocab": {"a": 0}}}, "can't be used"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused(case, put):
    changes, sentence = HOSTILE[case]
    folder = put({**trained("bpe"), **changes})
    with pytest.raises(UserError) as error:
        read_folder(TEXTS, folder)
    assert sentence in str(error.value)


def test_words_of_any_length_are_refused(put):
    content = trained("wordpiece")
    content["model"]["max_input_chars_per_word"] = 10**9
    with pytest.raises(UserError, match="max_input_chars_per_word"):
        read_folder(TEXTS, put(content))


def test_a_folder_without_a_tokenizer_says_what_it_needs(tmp_path):
    with pytest.raises(UserError, match=r"tokenizer\.json, or vocab\.txt"):
        read_folder(TEXTS, str(tmp_path))
    with pytest.raises(UserError, match="no folder"):
        read_folder(TEXTS, str(tmp_path / "nowhere"))


def test_names_of_special_tokens_come_from_the_folders_files(put):
    folder = put(trained("bpe"), tokenizer_config={"pad_token": {"content": "[SEP]"}})
    assert read_folder(TEXTS, folder).special.padding == 3


def test_without_a_padding_token_another_id_is_chosen_and_said(put):
    content = trained("bpe")
    text = json.dumps(content).replace("[PAD]", "nothing").replace("[UNK]", "else")
    tokenizer = read_folder(TEXTS, put(json.loads(text)))
    assert tokenizer.special.padding == 3  # [SEP]
    assert "has no padding token" in tokenizer.notes[0]


@pytest.mark.data
@pytest.mark.parametrize("name", ["bert_uncased", "gpt2"])
def test_real_tokenizers_encode_as_their_package_does(name, shared_data):
    import tokenizers

    folder = shared_data / "tokenizers" / name
    tokenizer = read_folder([], str(folder))
    texts = ["Hello, World!", "caf\u00e9 \u4f60\u597d", "", "it's  1984"]
    expected = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    expected.no_padding()
    tokens = tokenizer.encode(texts)
    for number, text in enumerate(texts):
        ids = tokens.ids[tokens.offsets[number] : tokens.offsets[number + 1]].tolist()
        around = [*tokenizer.special.before, *ids, *tokenizer.special.after]
        assert around == expected.encode(text).ids


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "files"),
    [("bert_uncased", ["vocab.txt"]), ("gpt2", ["vocab.json", "merges.txt"])],
)
def test_older_folders_give_the_same_ids(name, files, shared_data, tmp_path):
    folder = shared_data / "tokenizers" / name
    for file in files:
        shutil.copy(folder / file, tmp_path)
    new, old = (read_folder([], str(path)) for path in (folder, tmp_path))
    texts = ["Hello, World!", "caf\u00e9 \u4f60\u597d", "it's  1984 unbelievable"]
    assert old.encode(texts).ids.tolist() == new.encode(texts).ids.tolist()
    assert old.special == new.special
