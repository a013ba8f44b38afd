"""Which modules answer a role."""

import pytest
import torch
from torch import nn
from zoo import images, sketch

from kdrun import model
from kdrun.core.taps import tap_shapes

# One network of each of torchvision's families, with the sides of its stages at 224 pixels.
FAMILIES = {
    "alexnet": (55, 27, 13),
    "convnext_tiny": (56, 28, 14, 7),
    "densenet121": (56, 28, 14, 7),
    "efficientnet_b0": (112, 56, 28, 14, 7),
    "googlenet": (56, 28, 14, 7),
    "inception_v3": (25, 12, 5),
    "maxvit_t": (56, 28, 14, 7),
    "mnasnet0_5": (112, 56, 28, 14, 7),
    "mobilenet_v2": (112, 56, 28, 14, 7),
    "mobilenet_v3_small": (112, 56, 28, 14, 7),
    "resnet18": (56, 28, 14, 7),
    "shufflenet_v2_x0_5": (28, 14, 7),
    "squeezenet1_1": (111, 55, 27, 13),
    "vgg11": (224, 112, 56, 28, 14),
    "vgg11_bn": (224, 112, 56, 28, 14),
}


def shapes(network: nn.Module, role: str, side: int) -> list[tuple[int, ...]]:
    paths = model.module_roles(network)[role]
    return list(tap_shapes(network, {path: path for path in paths}, images(side)).values())


@pytest.mark.parametrize("name", FAMILIES)
def test_the_stages_of_a_family_are_its_maps_before_each_reduction(name):
    network = sketch(name, images(224))
    sides = tuple(shape[2] for shape in shapes(network, "stages", 224))
    assert sides == FAMILIES[name]


def test_the_stages_of_a_regnet_are_its_blocks():
    network = model.build({"name": "regnet_y_400mf", "stem": "imagenet"}, images(64))
    assert [shape[2] for shape in shapes(network, "stages", 64)] == [16, 8, 4, 2]


def test_the_stages_of_transformers_are_their_layers():
    assert shapes(sketch("vit_b_32", images(64)), "stages", 64) == [(2, 5, 768)] * 12
    maps = shapes(sketch("swin_t", images(64)), "stages", 64)
    assert maps == [(2, 96, 16, 16), (2, 192, 8, 8), (2, 384, 4, 4), (2, 768, 2, 2)]


def test_squeezenet_has_logits_but_no_embedding():
    network = sketch("squeezenet1_1", images(32))
    assert model.module_roles(network)["embedding"] == []
    assert shapes(network, "logits", 32) == [(2, 100)]


def test_of_an_unknown_network_the_last_linear_layer_is_known():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    assert model.module_roles(network) == {"stages": [], "embedding": ["3:in"], "logits": ["3"]}


def test_what_a_network_says_of_itself_comes_first_and_is_copied():
    network = sketch("resnet8", images(8))
    model.module_roles(network)["stages"].append("nowhere")
    assert model.module_roles(network)["stages"] == ["layer1", "layer2", "layer3"]


def test_an_attribute_that_is_no_table_of_roles_is_left_alone():
    network = nn.Sequential(nn.Linear(4, 3))
    network.roles = torch.nn.Identity()
    assert model.module_roles(network)["logits"] == ["0"]


# Sides at 32 pixels, as in the networks of Tian et al. 2020 (arXiv:1910.10699).
TABLES = {
    "resnet8x4": (32, 16, 8),
    "wrn_16_2": (32, 16, 8),
    "vgg8": (16, 8, 4, 4),
    "mobilenet_v2_x0_5": (16, 8, 4, 2),
    "shufflenet_v1": (16, 8, 4),
    "shufflenet_v2": (16, 8, 4),
    "resnet50": (32, 16, 8, 4),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_stages_have_the_sizes_of_the_distillation_tables(name):
    taps = shapes(sketch(name, images(32)), "stages", 32)
    assert tuple(shape[2] for shape in taps) == TABLES[name]
