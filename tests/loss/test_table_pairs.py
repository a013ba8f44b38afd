"""The layers that losses pair by themselves are those of the CIFAR-100 tables (RepDistiller)."""

import pytest
from given import bare
from zoo import images, sketch

from kdrun import model
from kdrun.core.taps import resolve_taps, tap_shapes
from kdrun.core.types import TapShapes
from kdrun.loss.tap_pairs import pair_taps, request_pairs

INFO = images(32)
VGG = ["block1", "block2", "block3", "block4"]
RESNET50 = ["layer1", "layer2", "layer3", "layer4"]
MOBILENET = ["blocks.1", "blocks.2", "blocks.4", "blocks.6"]
RESNET = ["layer1", "layer2", "layer3"]
WIDE = ["block1", "block2", "block3"]

# teacher, student -> their layers f1, f2, ... there, in pairs.
PAIRS = {
    ("vgg13", "vgg8"): (VGG, VGG),
    ("resnet50", "vgg8"): (RESNET50, VGG),
    ("vgg13", "mobilenet_v2_x0_5"): (VGG, MOBILENET),
    ("resnet50", "mobilenet_v2_x0_5"): (RESNET50, MOBILENET),
    ("resnet32x4", "shufflenet_v1"): (RESNET, RESNET),
    ("resnet32x4", "shufflenet_v2"): (RESNET, RESNET),
    ("wrn_40_2", "shufflenet_v1"): (WIDE, RESNET),
    ("wrn_40_2", "wrn_16_2"): (WIDE, WIDE),
    ("resnet56", "resnet20"): (RESNET, RESNET),
}


def taps(name: str, query: str) -> TapShapes:
    network = sketch(name, INFO)
    roles = model.module_roles(network)
    paths = resolve_taps("student", {"tap": query}, roles, network, INFO)
    return TapShapes(tap_shapes(network, paths, INFO), network, paths)


@pytest.mark.parametrize(("teacher", "student"), PAIRS)
@pytest.mark.parametrize("name", ["attention", "fitnet"])
def test_pairs_are_those_of_the_tables(name: str, teacher: str, student: str):
    query = bare(name).auto
    assert request_pairs("auto", query).student == {"tap": query}
    students, teachers = taps(student, query), taps(teacher, query)
    pairs = [
        (teachers.paths[pair.teacher], students.paths[pair.student])
        for pair in pair_taps(students, teachers)
    ]
    expected = list(zip(*PAIRS[teacher, student], strict=True))
    assert pairs == (expected if name == "attention" else expected[1:2])  # fitnet's hint is f2


def test_review_kd_takes_the_same_stages_and_the_embedding():
    request = bare("review_kd").taps().student
    network = sketch("vgg8", INFO)
    paths = resolve_taps("student", request, model.module_roles(network), network, INFO)
    assert list(paths.values()) == [*VGG, "classifier:in"]
