"""Names lead to parts, and a config node's keys are held against the part's parameters."""

from fractions import Fraction
from typing import Annotated, Any, Literal

import pytest
import torch
from pydantic import Field, PositiveInt

from kdrun.core.errors import UserError
from kdrun.core.registry import build, check_node, keywords, resolve

TABLE = {"kd": "kdrun.loss.logits:KD", "mse": "kdrun.loss.logits:LogitsMSE"}


def part(
    network: Any,
    temperature: Annotated[float, Field(gt=0)],
    alpha: Annotated[float, Field(ge=0, le=1)],
    hidden: list[PositiveInt] | None,
    betas: tuple[float, float],
    threads: PositiveInt | Literal["auto"],
    kind: Literal["small", "large"],
    nesterov: bool,
    lr_by_model: dict[str, Annotated[float, Field(gt=0)]],
    label: str,
) -> None:
    """A part with a parameter of every kind that a config can have."""


GOOD = {
    "name": "part",
    "temperature": 4,
    "alpha": 0.9,
    "hidden": [8, 16],
    "betas": [0.9, 0.999],
    "threads": "auto",
    "kind": "small",
    "nesterov": True,
    "lr_by_model": {"mobilenet*": 0.01},
    "label": "a",
}


def sentences(**changed: Any) -> list[str]:
    """The faults of a good node with some keys changed; a key that is `...` is left out."""
    node = {key: value for key, value in {**GOOD, **changed}.items() if value is not ...}
    return [str(fault) for fault in check_node("part", node, part, ("network",))]


def test_resolve_imports_the_part():
    assert resolve("loss", TABLE, "kd").__name__ == "KD"


def test_resolve_names_the_nearest():
    with pytest.raises(UserError) as error:
        resolve("loss", TABLE, "kdd")
    assert error.value.lines == (
        "no loss is called 'kdd'.",
        "  nearest: kd        all: kdrun list losses",
    )


def test_resolve_names_all_where_none_is_near():
    with pytest.raises(UserError) as error:
        resolve("loss", TABLE, "zzzzzz")
    hint = "  available: kd, mse        all: kdrun list losses"
    assert error.value.lines == ("no loss is called 'zzzzzz'.", hint)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("kdrun.nowhere:KD", "No module named 'kdrun.nowhere'"),
        ("kdrun.loss.logits:Nothing", "module 'kdrun.loss.logits' has no attribute 'Nothing'"),
    ],
)
def test_resolve_says_so_where_a_name_leads_nowhere(place, reason):
    with pytest.raises(UserError) as error:
        resolve("loss", {"mine": place}, "mine")
    assert str(error.value) == f"the loss 'mine' can't be loaded: {reason}."


def test_keywords_leaves_out_what_kdrun_gives():
    assert list(keywords(part, ("network",))) == [key for key in GOOD if key != "name"]


def test_keywords_leaves_out_stars():
    def build(*args: int, width: int, **rest: int) -> None: ...

    assert keywords(build) == {"width": int}
    assert keywords(torch.nn.Module) == {}


def test_keywords_reads_annotations_that_are_text():
    def build(width: "PositiveInt", **rest: "int") -> None: ...

    assert keywords(build) == {"width": PositiveInt}


def test_keywords_says_so_where_an_annotation_leads_nowhere():
    def build(width: "NotImported") -> None: ...  # noqa: F821

    with pytest.raises(UserError, match="'build' can't be read: name 'NotImported'"):
        keywords(build)


def test_a_parameter_without_annotation_takes_anything():
    def build(width): ...

    assert check_node("model", {"name": "build", "width": object}, build) == []


def test_a_good_node_has_no_faults():
    assert sentences() == []
    assert sentences(hidden=None, threads=4, alpha=1, lr_by_model={}) == []


def test_all_faults_are_found_together():
    assert sentences(temperature=0, alpha=2, temprature=4, label=...) == [
        "part.temperature: 0 should be greater than 0",
        "part.alpha: 2 should be less than or equal to 1",
        "part.label: must be given",
        "part.temprature: unknown key of 'part'; nearest: temperature",
    ]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"temperature": 0}, "temperature: 0 should be greater than 0"),
        ({"temperature": -1.5}, "temperature: -1.5 should be greater than 0"),
        ({"alpha": -0.1}, "alpha: -0.1 should be greater than or equal to 0"),
        ({"alpha": float("nan")}, "alpha: nan should be a finite number"),
        ({"alpha": float("inf")}, "alpha: inf should be a finite number"),
        ({"alpha": float("-inf")}, "alpha: -inf should be a finite number"),
        ({"alpha": "fast"}, "alpha: 'fast' is not a number"),
        ({"alpha": "0.5"}, "alpha: '0.5' is not a number"),
        ({"alpha": True}, "alpha: true is not a number"),
        ({"alpha": None}, "alpha: null is not a number"),
        ({"alpha": [0.5, 0.9]}, "alpha: [0.5, 0.9] is not a number"),
        ({"alpha": ...}, "alpha: must be given"),
        ({"hidden": 8}, "hidden: 8 is not a list"),
        ({"hidden": [8, 0]}, "hidden.1: 0 should be greater than 0"),
        ({"hidden": [8, 2.5]}, "hidden.1: 2.5 is not a whole number"),
        ({"betas": 0.9}, "betas: 0.9 is not a list"),
        ({"betas": [0.9]}, "betas.1: must be given"),
        ({"betas": [0.9, 0.9, 0.9]}, "betas: [0.9, 0.9, 0.9] should have at most 2 values"),
        ({"betas": [0.9, float("nan")]}, "betas.1: nan should be a finite number"),
        ({"threads": "many"}, "threads: 'many' should be a whole number or 'auto'"),
        ({"threads": 0}, "threads: 0 should be greater than 0 or 'auto'"),
        ({"kind": "big"}, "kind: 'big' should be 'small' or 'large'"),
        ({"nesterov": "yes"}, "nesterov: 'yes' is not true or false"),
        ({"nesterov": 1}, "nesterov: 1 is not true or false"),
        ({"lr_by_model": []}, "lr_by_model: [] is not a mapping"),
        ({"lr_by_model": {"a*": -1}}, "lr_by_model.a*: -1 should be greater than 0"),
        ({"label": 3}, "label: 3 is not text"),
        ({"zzz": 3}, f"zzz: unknown key of 'part'; its keys: {', '.join(list(GOOD)[1:])}"),
    ],
)
def test_a_fault_is_one_plain_sentence(changed, sentence):
    assert sentences(**changed) == [f"part.{sentence}"]


def test_a_node_without_keys_says_so():
    def constant() -> None: ...

    faults = check_node("schedule", {"name": "constant", "gamma": 0.1}, constant)
    assert [str(fault) for fault in faults] == [
        "schedule.gamma: unknown key of 'constant'; its keys: none"
    ]


def test_a_given_parameter_can_not_be_set():
    assert sentences(network=1)[0].startswith("part.network: unknown key of 'part'")


def test_name_is_checked_where_it_is_a_parameter():
    def build(name: Literal["a", "b"]) -> None: ...

    faults = check_node("model", {"name": "c"}, build)
    assert [str(fault) for fault in faults] == ["model.name: 'c' should be 'a' or 'b'"]


def test_a_component_is_built_from_its_node_and_what_kdrun_passes() -> None:
    table = {"pair": "fractions:Fraction"}
    node = {"name": "pair", "numerator": 3}
    assert build("number", table, node, denominator=4) == Fraction(3, 4)
    with pytest.raises(UserError, match="no number is called 'pear'"):
        build("number", table, {"name": "pear"})
