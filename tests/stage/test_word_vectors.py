"""Networks of texts that start from word vectors."""

import gzip
import lzma
from pathlib import Path

import pytest
import torch
from text_zoo import ENCODING, build

from kdrun.core.errors import UserError
from kdrun.stage.start_files import file_digests
from kdrun.stage.word_vectors import load_vectors

WORDS = ["<padding>", "<unknown>", "<mask>", "good", "bad", "New York", "1,000"]
WORDS += [f"word{number}" for number in range(ENCODING.size - len(WORDS))]


def line(word: str, value: float, width: int = 16) -> str:
    return f"{word} {' '.join([str(value)] * width)}\n"


GLOVE = line("bad", -0.5) + line("New York", 2e-1) + line("other", 3) + line("bad", 9)
FASTTEXT = f"4 16\n{GLOVE}"


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", ["text_bag", "text_cnn", "text_lstm", "text_transformer"])
@pytest.mark.parametrize("text", [GLOVE, FASTTEXT, GLOVE.replace("\n", " \r\n")])
def test_words_of_the_vocabulary_get_their_vectors(tmp_path, name, text):
    network = build(name)
    before = network.tokens.weight.clone()
    path = write(tmp_path / "vectors.txt", text)
    notes = load_vectors(network, WORDS, path)
    assert notes == [f"started from the vectors of '{path}', which has 2 of 50 tokens"]
    expected = before.clone()
    expected[WORDS.index("bad")], expected[WORDS.index("New York")] = -0.5, 0.2
    assert torch.equal(network.tokens.weight, expected)
    assert network.tokens.weight.requires_grad


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_packed_files_are_read(tmp_path, suffix, pack):
    path = tmp_path / f"vectors.vec{suffix}"
    path.write_bytes(pack(FASTTEXT.encode()))
    network = build("text_cnn")
    load_vectors(network, WORDS, str(path))
    assert (network.tokens.weight[WORDS.index("bad")] == -0.5).all()


REFUSED = {
    "fewer numbers": (line("bad", 1, 12), "line 1: is no word with 16 numbers"),
    "more numbers": (line("bad", 1) + line("good", 1, 20), "line 2: is no word with 16 numbers"),
    "no number": (line("bad", 1).replace("1\n", "one\n"), "line 1: has a value that is no number"),
    "infinite": (line("bad", float("inf")), "line 1: has a value that is not finite"),
    "other words": (line("bonjour", 1), "has a vector for none of the 50 tokens"),
    "empty": ("", "has a vector for none of the 50 tokens"),
    "long": ("a" * 1_000_001, "line 1: has more than 1 MB"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=list(REFUSED))
def test_a_bad_line_is_named(tmp_path, case):
    text, message = case
    with pytest.raises(UserError, match=message):
        load_vectors(build("text_cnn"), WORDS, write(tmp_path / "vectors.txt", text))


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(UserError, match="can't be read: No such file"):
        load_vectors(build("text_cnn"), WORDS, str(tmp_path / "none.txt"))
    damaged = tmp_path / "vectors.txt.gz"
    damaged.write_bytes(gzip.compress(GLOVE.encode())[:-12])
    with pytest.raises(UserError, match="is damaged"):
        load_vectors(build("text_cnn"), WORDS, str(damaged))


def test_the_content_of_the_vectors_decides(tmp_path):
    node = {"name": "text_cnn", "vectors": write(tmp_path / "vectors.txt", GLOVE)}
    before = file_digests(node)
    assert before.keys() == {"vectors.txt"}
    write(tmp_path / "vectors.txt", FASTTEXT)
    assert file_digests(node) != before
