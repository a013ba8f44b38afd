"""Each tokenizer: determinism, round trips, its file, any text."""

import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from text_data import dataset_node

from kdrun.core.errors import DamagedFile, UserError
from kdrun.core.registry import build
from kdrun.dataset.text.tokenizers.saved import read_tokenizer
from kdrun.dataset.text.tokenizers.table import TOKENIZERS
from kdrun.dataset.text.tokenizers.tokenizer import content_digest

TEXTS = [
    "the film isn't bad , it's 90 minutes of joy !",
    "\u05d4\u05e1\u05e8\u05d8 \u05d8\u05d5\u05d1",  # Hebrew
    "\u6620\u753b\u306f\u9762\u767d\u3044",  # Japanese
    "\u092b\u093f\u0932\u094d\u092e",  # Hindi
    "joy \U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 caf\u00e9 cafe\u0301",
    "tab\tand \x1b[31mred\x07",
] * 3
FILES = {"folder", "saved"}  # made before, so they need a path
OWN = [name for name in sorted(TOKENIZERS) if name not in FILES]
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def make(name: str, **changes):
    node = dataset_node("docstrings", f"tokenizer={name}", tokenizer=changes)["tokenizer"]
    return build("tokenizer", TOKENIZERS, node, texts=TEXTS)


@pytest.fixture(scope="module")
def made():
    return {name: make(name) for name in OWN}


def test_each_has_a_yaml(made):
    assert set(OWN) | FILES == set(TOKENIZERS)


@pytest.mark.parametrize("name", OWN)
def test_its_file_gives_it_back(name, made):
    tokenizer = made[name]
    content = tokenizer.to_bytes()
    again = read_tokenizer(content, "tokenizer.json")
    assert again.to_bytes() == content
    assert (again.size, again.special) == (tokenizer.size, tokenizer.special)
    assert again.encode(TEXTS).ids.tolist() == tokenizer.encode(TEXTS).ids.tolist()


@pytest.mark.parametrize("name", OWN)
def test_training_again_gives_the_same(name, made):
    assert content_digest(make(name)) == content_digest(made[name])


@pytest.mark.parametrize("name", ["bpe", "wordpiece"])
def test_another_process_trains_the_same(name, made):
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from test_text_tokenizers import make, content_digest\n"
        "print(content_digest(make(sys.argv[1])))"
    )
    here = Path(__file__).parent
    words = [sys.executable, "-c", code, name, str(here), str(here.parents[1])]
    for _ in range(3):
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == content_digest(made[name])


@pytest.mark.parametrize("name", OWN)
@given(texts=st.lists(ANY_TEXT, max_size=5))
def test_any_text_has_ids_of_the_vocabulary(name, made, texts):
    tokens = made[name].encode(texts)
    assert len(tokens) == len(texts)
    assert ((tokens.ids >= 0) & (tokens.ids < made[name].size)).all()
    alone = [made[name].encode([text]).ids.tolist() for text in texts]
    assert tokens.ids.tolist() == list(chain.from_iterable(alone))
    made[name].decode(tokens.ids.tolist())
    assert len(made[name].tokens(tokens.ids.tolist())) == len(tokens.ids)


@pytest.mark.parametrize("name", ["bpe", "bytes"])
@given(text=ANY_TEXT)
def test_bytes_come_back(name, made, text):
    assert made[name].decode(made[name].encode([text]).ids.tolist()) == text


@pytest.mark.parametrize("text", TEXTS)
def test_characters_come_back(made, text):
    assert made["chars"].decode(made["chars"].encode([text]).ids.tolist()) == text


def words_of(text: str, **changes) -> list[str]:
    node = dataset_node("docstrings", tokenizer={"min_count": 1, **changes})["tokenizer"]
    tokenizer = build("tokenizer", TOKENIZERS, node, texts=[text])
    return tokenizer.tokens(tokenizer.encode([text]).ids.tolist())


def test_words_are_those_of_the_penn_treebank():
    assert words_of("It's GREAT, don't go!") == ["it", "'s", "great", ",", "do", "n't", "go", "!"]
    assert words_of("it\u2019s", lowercase=False) == ["it", "'s"]
    assert words_of("in 1984", zeros=True) == ["in", "0000"]


def test_words_of_other_scripts():
    assert words_of(TEXTS[2]) == list(TEXTS[2])
    assert words_of(TEXTS[3]) == [TEXTS[3]]
    assert words_of(TEXTS[1]) == TEXTS[1].split()


def test_rare_words_are_unknown_and_the_size_is_a_limit():
    node = dataset_node("docstrings")["tokenizer"]
    texts = ["a a a b b c"]
    rare = build("tokenizer", TOKENIZERS, {**node, "min_count": 2}, texts=texts)
    assert rare.tokens(rare.encode(["a b c"]).ids.tolist()) == ["a", "b", "[UNK]"]
    small = build("tokenizer", TOKENIZERS, {**node, "size": 5}, texts=texts)
    assert (small.entries, small.size) == (("a",), 5)


def test_names_of_special_tokens_in_a_text_are_text(made):
    for tokenizer in made.values():
        ids = set(tokenizer.encode(["[SEP] [MASK] [PAD]"]).ids.tolist())
        assert not ids & {0, 2, 3}


BAD_FILES = {
    "no JSON": b"{",
    "another kind": b'{"kdrun":"tokenizer","format":1,"kind":"pickle"}',
    "another version": b'{"kdrun":"tokenizer","format":2,"kind":"bytes"}',
    "a list": b"[]",
    "an entry twice": b'{"kdrun":"tokenizer","format":1,"kind":"words","lowercase":true,'
    b'"zeros":false,"entries":["a","a"]}',
    "an entry that is no text": b'{"kdrun":"tokenizer","format":1,"kind":"words",'
    b'"lowercase":true,"zeros":false,"entries":[1]}',
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_damaged_file_is_refused(case):
    with pytest.raises(DamagedFile, match="is no tokenizer's file"):
        read_tokenizer(BAD_FILES[case], "tokenizer.json")


def test_special_ids_beyond_the_vocabulary_are_refused(made):
    content = made["bpe"].to_bytes().replace(b'"padding":0', b'"padding":999999')
    with pytest.raises(UserError, match="beyond its vocabulary"):
        read_tokenizer(content, "tokenizer.json")
