"""Names, their files and what builds them."""

import subprocess
import sys

import pytest
from zoo import FOLDER, read

from kdrun import model
from kdrun.core.errors import UserError
from kdrun.core.registry import check_node, keywords
from kdrun.model.table import MODELS


def test_each_name_has_a_file_and_each_file_a_name():
    files = {path.stem for path in FOLDER.glob("*.yaml")}
    assert files == {*MODELS, "torchvision"}


@pytest.mark.parametrize("name", MODELS)
def test_a_file_holds_its_name_and_the_keys_of_its_builder(name):
    node = read(name)
    configurable = set(keywords(model.builder(name), model.GIVEN)) - {"name"}
    assert node["name"] == name
    assert set(node) == {"name", *configurable}


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"timm"}))
def test_a_file_is_in_its_builders_ranges(name):
    assert check_node("student", read(name), model.builder(name), model.GIVEN) == []


def test_no_builder_takes_a_key_of_the_roles():
    roles = {"run", "weights", "checkpoint", "taps", "freeze", "init", "recipe"}
    assert not any(roles & set(keywords(model.builder(name))) for name in MODELS)


def test_names_are_kdruns_and_torchvisions():
    names = model.names()
    assert names == sorted(names)
    assert {"mlp", "resnet8x4", "timm", "vit_b_16", "vgg16_bn"} <= set(names)
    assert "fcn_resnet50" not in names


def test_torchvisions_names_need_no_line_in_the_table():
    assert model.builder("densenet121") is model.builder("resnet18")


def test_an_unknown_name_has_the_nearest_ones():
    with pytest.raises(UserError) as error:
        model.builder("resent50")
    first, second = error.value.lines
    assert first == "no model is called 'resent50'."
    assert "resnet50" in second
    assert second.endswith("all: kdrun list models")


def test_importing_the_names_leaves_torch_alone():
    code = "import sys, kdrun.model; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=FOLDER.parents[1]).returncode == 0


def test_what_a_builder_refuses_is_the_users_mistake():
    from zoo import images

    with pytest.raises(UserError, match=r"shufflenet_v1 can't be built for 32x32 images"):
        model.build({**read("shufflenet_v1"), "groups": 7}, images(32))
