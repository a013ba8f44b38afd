"""Every step, calibrator and protocol has a file in conf/ whose keys are its parameters."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from kdrun.compress.calibrators import CALIBRATORS
from kdrun.config.choices import conf_folder
from kdrun.core.registry import check_node, keywords, resolve
from kdrun.measure.protocols import PROTOCOLS
from kdrun.step.context import make_step
from kdrun.step.table import STEPS

TABLES: dict[str, Mapping[str, str]] = {
    "step": STEPS,
    "calibrator": CALIBRATORS,
    "protocol": PROTOCOLS,
}
PARTS = [(group, name) for group, table in TABLES.items() for name in table]


def node(group: str, name: str) -> dict:
    return yaml.safe_load((conf_folder() / group / f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("group", TABLES)
def test_files_are_those_of_the_table(group):
    assert {path.stem for path in (conf_folder() / group).glob("*.yaml")} == set(TABLES[group])


@pytest.mark.parametrize(("group", "name"), PARTS)
def test_a_file_has_the_parameters_in_their_order(group, name):
    part, found = resolve(group, TABLES[group], name), node(group, name)
    assert check_node(group, found, part) == []
    assert list(found) == ["name", *keywords(part)]


STRONG = {"low_rank", "prune_channels", "prune_feed_forward", "prune_heads", "prune_weights"}


def test_steps_that_remove_weights_have_a_strength():
    found = {name for name in STEPS if make_step(node("step", name)).strength is not None}
    assert found == STRONG


@pytest.mark.parametrize("name", sorted(STRONG))
def test_the_strength_of_a_step_is_a_key_whose_limits_are_valid(name):
    strength = make_step(node("step", name)).strength
    key = strength.key
    assert set(strength.excludes) <= node("step", name).keys() - {key}
    for value in (strength.mild, strength.strong):
        make_step({**node("step", name), key: value})
        assert (
            check_node("step", {**node("step", name), key: value}, resolve("", STEPS, name)) == []
        )


@pytest.mark.parametrize("path", sorted((conf_folder() / "compress").glob("[a-z]*.yaml")))
def test_a_prepared_choice_lists_its_steps(path: Path):
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    keys = [entry.partition("@")[2] for entry in found["defaults"] if entry.startswith("/step/")]
    assert found["steps"] == keys
