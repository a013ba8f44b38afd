"""Whatever is typed ends with a sentence and a known status."""

from pathlib import Path

import pytest
from fuzzer import COMMANDS, empty_folder, end_of_check, fuzz  # noqa: F401 - the fixture
from hypothesis import strategies as st

from kdrun.config.compose import compose_runs

# Numbers that are sound are small: a check builds the networks.
VALUES = (
    *("0", "1", "2", "3", "-1", "0.5", "1.5", "-0.0", "1e300", "-1e300", "1e-300", "nan", "inf"),
    *("1000000000000000000000", "-99999999999999", "true", "false", "null", "''", "' '", "x", "kd"),
    *("[]", "[1]", "[0]", "[-1]", "[a,b]", "[[1,2],[3]]", "[{a: 1}]", "{}", "{a: 1}", "{1: 2}"),
    *("{name: kd}", "{name: mlp}", "{name: null}", "{name: [1]}", "{a: {b: [c]}}", "'4'", "1,2"),
    *("${seed}", "${nowhere}", "${oc.env:HOME}", "${oc.env:NO_SUCH}", "${", "${}", "$x", "${a:b}"),
    *("../x", "/dev/null", "~", "~x", "a=b", "a b", "'a b'", '"', "'", "\\", "[", "]", "{", "}"),
    *("range(3)", "choice(1,2)", "glob(*)", "interval(0,1)", "sort(2,1)", "int(x)", "str(1)"),
    *("\x1b[2J", "\u202e", "é", "\U0001f600", "\x00", "\n", "\t", "a" * 300, "[" * 200, "_target_"),
    *("resnet8", "mlp", "digits", "fake", "crd", "attention", "cosine", "prune_weights", "onnx"),
    *("cpu", "cuda:99", "fp16", "bf16", "best", "[logits]", "[layers.0]", "layers.0", "0x10"),
)
GROUPS = (
    *("teacher", "student", "loss", "dataset", "recipe", "scheme", "compress", "experiment"),
    *("recipe/optimizer", "recipe/schedule", "hydra/launcher", "logger"),
)
NAMES = (
    *("mlp", "resnet8", "kd", "crd", "mutual", "none", "digits", "fake", "mnist", "quick", "adamw"),
    *("sgd", "step", "int8", "half", "tensorboard", "joblib", "basic", "xyz", "", "[kd,crd]", "1"),
)
FLAGS = ("-m", "--cfg", "job", "--info", "--config-dir", "--resolve", "--package", "--help", "-x")


def keys() -> list[str]:
    """The dotted key of every node of the config of a run."""
    (job,) = compose_runs(["loss=attention"], multirun=False)
    found: list[str] = []

    def walk(node: object, where: str) -> None:
        if where:
            found.append(where)
        if isinstance(node, dict):
            for key, value in node.items():
                walk(value, f"{where}.{key}".lstrip("."))

    walk(job.tree, "")
    return found


def words() -> st.SearchStrategy[str]:
    """One word: mostly a setting of a key that there is."""
    text = st.text(max_size=12)
    key = st.one_of(st.sampled_from(keys()), st.sampled_from(keys()).map(lambda key: key[:-1]))
    key = st.one_of(key, key, key, st.tuples(key, text).map(".".join), text)
    value = st.one_of(*[st.sampled_from(VALUES)] * 4, text, st.floats().map(str))
    sign = st.sampled_from(["", "", "", "", "+", "++", "~"])
    setting = st.tuples(sign, key, st.just("="), value).map("".join)
    choice = st.tuples(st.sampled_from(GROUPS), st.just("="), st.sampled_from(NAMES)).map("".join)
    return st.one_of(*[setting] * 6, choice, key.map("~{}".format), st.sampled_from(FLAGS), text)


def test_whatever_is_typed_ends_with_a_sentence(
    empty_folder: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, wrong = fuzz(
        st.lists(words(), min_size=1, max_size=3),
        lambda given: end_of_check(given, monkeypatch, capsys),
        examples=COMMANDS,
    )
    assert wrong == {}
