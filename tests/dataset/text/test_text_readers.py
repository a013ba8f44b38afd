"""Every form that texts are read from, and what is wrong with files."""

import gzip
import json
import lzma
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from text_data import all_samples, dataset_node, texts_of

from kdrun import dataset
from kdrun.core.errors import UserError

WORDS = [f"word{number} and more" for number in range(10)]
CSV = "text,label\n" + "".join(f"{word},{'ab'[n % 2]}\n" for n, word in enumerate(WORDS))
EXPECTED = Counter((word, "ab"[n % 2]) for n, word in enumerate(WORDS))


def test_a_file_for_each_class(write, load):
    for number, name in enumerate("ab"):
        write(f"{name}.txt", "\n".join(WORDS[number::2]) + "\n")
    write("README", "about the data")
    assert all_samples(load("sentences")) == EXPECTED


def test_a_folder_of_files_for_each_class(write, load):
    for number, word in enumerate(WORDS):
        write(f"{'ab'[number % 2]}/{number}.txt", word)
    assert all_samples(load("sentences")) == EXPECTED


def test_a_folder_for_each_split(write, load):
    for split, words in {"train": WORDS[:6], "valid": WORDS[6:8], "test": WORDS[8:]}.items():
        for number, name in enumerate("ab"):
            write(f"{split}/{name}", "\n".join(words[number::2]))
    data = load("sentences")
    assert all_samples(data) == EXPECTED
    assert texts_of(data, "test") == WORDS[8:]
    assert texts_of(data, "validation") == WORDS[6:8]


def test_without_a_test_split_the_validation_split_is_it(write, load):
    write("train.csv", CSV)
    write("dev.csv", "text,label\nheld out,a\n")
    assert texts_of(load("table"), "test") == ["held out"]


def test_names_that_differ_in_their_last_part_are_called_by_it(write, load):
    write("polarity.neg", "\n".join(WORDS))
    write("polarity.pos", "\n".join(WORDS))
    assert load("sentences").info.classes == ("neg", "pos")


def test_both_files_and_folders_are_refused(write, load):
    write("a.txt", "one")
    write("b/1.txt", "two")
    with pytest.raises(UserError, match="has both files and folders"):
        load("sentences")


TABLES = {
    "all.csv": CSV,
    "all.tsv": CSV.replace(",", "\t"),
    "all.csv.gz": gzip.compress(CSV.encode()),
    "all.tsv.xz": lzma.compress(CSV.replace(",", "\t").encode()),
    "crlf.csv": CSV.replace("\n", "\r\n"),
    "bom.csv": "\ufeff" + CSV,
    "quoted.csv": CSV.replace("word", '"word').replace("more", 'more"'),
    "all.json": json.dumps([{"text": w, "label": "ab"[n % 2]} for n, w in enumerate(WORDS)]),
    "all.jsonl": "".join(
        json.dumps({"text": word, "label": "ab"[n % 2]}) + "\n\n" for n, word in enumerate(WORDS)
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_each_form_of_a_table(name, write, load):
    root = write(name, TABLES[name])
    assert all_samples(load("table")) == EXPECTED
    assert all_samples(load("table", root=str(root / name))) == EXPECTED


def test_a_column_tells_the_split(write, load):
    lines = [f"{w},{'ab'[n % 2]},{'test' if n > 7 else 'train'}" for n, w in enumerate(WORDS)]
    write("all.csv", "\n".join(["text,label,part", *lines]))
    data = load("table", split="part")
    assert texts_of(data, "test") == WORDS[8:]
    assert all_samples(data) == EXPECTED


def test_files_and_columns_can_be_named(write, load):
    write("first.csv", CSV.partition("\n")[2])
    write("second.csv", "held out,b\n")
    files = {"train": "first.csv", "test": "second.csv"}
    data = load("table", files=files, columns=["text", "label"])
    assert texts_of(data, "test") == ["held out"]


def test_quotation_marks_are_text_in_tsv(write, load):
    write("all.tsv", 'text\tlabel\n"open\ta\nclosed" and\tb\n' * 1 + CSV[11:].replace(",", "\t"))
    assert ('"open', "a") in all_samples(load("table"))


def test_pairs_are_joined_by_the_separator(write, load):
    rows = "".join(f"{word},second {word},{'ab'[n % 2]}\n" for n, word in enumerate(WORDS))
    write("all.csv", "one,two,label\n" + rows)
    data = load("table", text=["one", "two"])
    (batch,) = data.test.batches(100)
    names = data.tokenizers[""].tokens(batch.inputs["tokens"][0].tolist())
    assert names.count("[SEP]") == 1


def test_lines_that_begin_with_their_class(write, load):
    lines = [f"{'AB'[n % 2]}:fine{n % 4} {word}" for n, word in enumerate(WORDS * 2)]
    write("train.txt", "\n".join(lines))
    assert load("lines", levels=1).info.classes == ("A", "B")
    assert len(load("lines").info.classes) == 4


def test_numbers_are_sorted_as_numbers(write, load):
    write(
        "all.csv", "text,label\n" + "".join(f"{w},{8 + n % 4}\n" for n, w in enumerate(WORDS * 3))
    )
    assert load("table").info.classes == ("8", "9", "10", "11")


def test_a_relative_root_is_looked_for_below_the_data_folder(write, load):
    root = write("all.csv", CSV)
    assert all_samples(load("table", root="texts", within=str(root.parent))) == EXPECTED


def test_other_encodings_by_key(write, load):
    write("a.txt", "\n".join(f"caf\u00e9 {n}" for n in range(5)).encode("latin-1"))
    write("b.txt", "\n".join(f"th\u00e9 {n}" for n in range(5)).encode("latin-1"))
    data = load("sentences", encoding="latin-1")
    assert {text.split()[0] for text, _ in all_samples(data)} == {"caf\u00e9", "th\u00e9"}


BAD_TABLES = {
    "invalid byte": (b"text,label\nfine,a\ncaf\xe9,b\n", "line 3: the byte 0xe9 is no utf-8"),
    "the key that mends it": (b"text,label\n\xe9,b\n", "dataset.encoding=latin-1"),
    "NUL": ("text,label\nfine,a\nno\0,b\n", "line 3: has a NUL character"),
    "another length": ("text,label\nfine,a\none,two,b\n", "line 3: has 3 fields"),
    "an open quote": ('text,label\nfine,a\n"open,b\n', "line 3: unexpected end"),
    "a name twice": ("text,text,label\n1,2,a\n", "two columns called 'text'"),
    "a missing column": ("texts,label\n1,a\n", "nearest: texts"),
    "a missing label": ("text,label\none,a\ntwo,\n", "line 3: has no label"),
    "no rows": ("text,label\n", "has no rows"),
    "an empty file": ("", "has no rows"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_damaged_table_is_named_with_its_line(case, write, load):
    content, sentence = BAD_TABLES[case]
    write("all.csv", content)
    with pytest.raises(UserError) as error:
        load("table")
    assert sentence in str(error.value)
    assert "all.csv" in str(error.value)


BAD_JSON = {
    "no JSON": ('{"text": "a", "label": 1}\n{"text"', "line 2: is no JSON"),
    "no mapping": ("[1]\n", "line 1: is a list"),
    "a key twice": ('{"text": "a", "text": "b", "label": 1}\n', "two columns called 'text'"),
    "half of a character": ('{"text": "a\\ud800", "label": 1}\n', "half of a character"),
    "no text": ('{"text": null, "label": 1}\n', "'text' is null"),
    "deep": ("[" * 100_000 + "\n", "line 1: is no JSON"),
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_damaged_json_is_named_with_its_line(case, write, load):
    content, sentence = BAD_JSON[case]
    write("all.jsonl", content)
    with pytest.raises(UserError) as error:
        load("table")
    assert sentence in str(error.value)


def test_a_label_that_only_the_test_has(write, load):
    write("train.csv", CSV)
    write("test.csv", "text,label\nheld out,c\n")
    with pytest.raises(UserError, match="only the test split has the class 'c'"):
        load("table")


def test_two_files_of_one_split(write, load):
    write("train.csv", CSV)
    write("training.csv", CSV)
    with pytest.raises(UserError, match="both name the train split"):
        load("table")


def test_a_file_that_is_cut_off_is_not_unpacked(write, load):
    write("all.csv.gz", gzip.compress(CSV.encode())[:-12])
    with pytest.raises(UserError, match="can't be unpacked"):
        load("table")


def test_what_is_no_encoding_of_text_is_refused():
    (fault,) = dataset.check(dataset_node("table", encoding="rot13"))
    assert "should be an encoding of text" in str(fault)


def test_the_settings_of_the_tokenizer_are_checked():
    node = dataset_node("table", tokenizer={"min_count": 0})
    (fault,) = dataset.check(node)
    assert fault.where == "dataset.tokenizer.min_count"
    (fault,) = dataset.check({**node, "tokenizer": {"name": "word"}})
    assert "nearest: words" in fault.what


def test_docstrings_need_no_file_and_keep_modules_apart(load):
    data = load("docstrings")
    assert len(data.info.classes) == 8
    assert not set(texts_of(data)) & set(texts_of(data, "test"))
    again, other = load("docstrings"), load("docstrings", split_seed=1)
    assert data.digest == again.digest != other.digest


ANY_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=20
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ANY_TEXT, min_size=12, max_size=20))
def test_any_text_is_read_as_it_is_from_each_form(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("texts")
    texts = [f"{number}{text}" for number, text in enumerate(texts)]
    rows = [{"text": text, "label": "ab"[n % 2]} for n, text in enumerate(texts)]
    (folder / "all.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for number, name in enumerate("ab"):
        path = folder / "sentences" / f"{name}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(texts[number::2]) + "\n", encoding="utf-8")
    expected = Counter((row["text"], row["label"]) for row in rows)
    for name, file in (("table", "all.jsonl"), ("sentences", "sentences")):
        node = dataset_node(name, "tokenizer=bytes", root=str(folder / file))
        assert all_samples(dataset.load(node)) == expected
