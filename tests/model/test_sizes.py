"""Parameters and multiplications, held against published figures."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from zoo import count, images, sketch

from kdrun.core.errors import UserError

# 100 classes, 3x32x32. Millions in the second column are those that papers print; each comes from
#   [He]     He et al. 2016 (arXiv:1512.03385), table 6, for 10 classes: 0.27, 0.46, 0.66, 0.85 and
#            1.7 M; 90 classes more and projections as shortcuts make 0.28, 0.47, 0.67, 0.86, 1.74
#   [cifar]  README of github.com/heisenbug237/pytorch-cifar100: 0.278, 0.473, 0.862 M
#   [wrn]    Zagoruyko and Komodakis 2016 (arXiv:1605.07146), tables 2 and 3: 2.2 M for 40-2 and 0.6
#            for 40-1 (10 classes); 2,255,156 is what reproductions of AugMix count for 40-2
#   [tables] layer sizes in github.com/HobbitLong/RepDistiller, models/, the networks of Tian et al.
#            2020 (arXiv:1910.10699), added up by hand; 7,433,860 for resnet32x4 is also printed by
#            users of github.com/DefangChen/SimKD, which has the same networks
#   [lite]   model_zoo/README.md of github.com/da2so/DA2Lite, with the stem for CIFAR
PUBLISHED = {
    "resnet8": (0.08, 83_892),  # tables
    "resnet14": (0.18, 181_108),  # tables
    "resnet20": (0.28, 278_324),  # He, cifar
    "resnet32": (0.47, 472_756),  # He, cifar
    "resnet44": (0.67, 667_188),  # He
    "resnet56": (0.86, 861_620),  # He, cifar
    "resnet110": (1.74, 1_736_564),  # He
    "resnet8x4": (1.23, 1_233_540),  # tables
    "resnet32x4": (7.43, 7_433_860),  # tables
    "wrn_16_1": (0.18, 180_916),  # tables
    "wrn_16_2": (0.70, 703_284),  # tables
    "wrn_40_1": (0.57, 569_780),  # wrn
    "wrn_40_2": (2.26, 2_255_156),  # wrn
    "vgg8": (3.97, 3_965_028),  # tables
    "vgg13": (9.46, 9_462_180),  # tables
    "vgg19": (20.09, 20_086_692),  # lite: vgg19_bn
    "mobilenet_v2_x0_5": (0.81, 812_836),  # tables
    "shufflenet_v1": (0.95, 949_258),  # tables
    "shufflenet_v2": (1.36, 1_355_528),  # tables
    "resnet18": (11.22, 11_220_132),  # lite
    "resnet34": (21.33, 21_328_292),  # lite
    "resnet50": (23.71, 23_705_252),  # lite
}

# Millions of multiplications for one 3x32x32 image.
#   resnet20 and 32, 10 classes: README of github.com/chenyaofo/pytorch-cifar-models, convolutions
#   and linear layers; the others, 100 classes: [lite]
MULTIPLICATIONS = [
    ("resnet20", 10, 40.81, 0.005),
    ("resnet32", 10, 69.12, 0.005),
    ("resnet18", 100, 560, 5),
    ("resnet34", 100, 1160, 5),
    ("resnet50", 100, 1300, 5),
]


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_many_as_published(name):
    millions, exact = PUBLISHED[name]
    found = count(sketch(name, images(32)))
    assert found == exact
    assert round(found / 1e6, 2) == millions


@pytest.mark.parametrize(("name", "classes", "millions", "within"), MULTIPLICATIONS)
def test_multiplications_are_as_many_as_published(name, classes, millions, within):
    data = images(32, classes=classes)
    network = sketch(name, data).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 32, 32, device="meta"))
    assert counter.get_total_flops() / 2e6 == pytest.approx(millions, abs=within)


def test_lenet5_on_mnist_has_61706_parameters():
    # Zhang et al., Dive into Deep Learning, section 7.6: 156 + 2416 + 48120 + 10164 + 850.
    assert count(sketch("lenet5", images(28, channels=1, classes=10))) == 61_706
    assert count(sketch("lenet5", images(32, channels=1, classes=10))) == 61_706


def test_mlp_takes_any_widths():
    data = images(28, channels=1, classes=10)
    assert count(sketch("mlp", data, hidden=[256])) == 784 * 256 + 256 + 256 * 10 + 10
    assert count(sketch("mlp", data, hidden=[])) == 784 * 10 + 10


def test_vgg_of_the_tables_ends_in_maps_of_4x4_at_32_pixels():
    network = sketch("vgg8", images(32))
    maps = network.block0(torch.zeros(2, 3, 32, 32, device="meta"))
    for pool, block in ((0, 1), (1, 2), (2, 3), (3, 4)):
        pooled = network.get_submodule(f"pool{pool}")(maps)
        maps = network.get_submodule(f"block{block}")(pooled)
    assert maps.shape == (2, 512, 4, 4)


@pytest.mark.parametrize(("name", "forms"), [("vgg11", "CifarVGG"), ("alexnet", "SmallAlexNet")])
def test_the_form_follows_the_size_of_the_images(name, forms):
    assert type(sketch(name, images(64))).__name__ == forms
    assert type(sketch(name, images(65))).__module__.startswith("torchvision")
    assert type(sketch(name, images(32), form="imagenet")).__module__.startswith("torchvision")
    assert type(sketch(name, images(96), form="cifar")).__name__ == forms


def test_vgg_has_norms_in_the_small_form_unless_told():
    def norms(side: int, **changed) -> int:
        network = sketch("vgg11", images(side), **changed)
        return sum("BatchNorm" in type(module).__name__ for module in network.modules())

    assert (norms(32), norms(32, batch_norm=False), norms(32, batch_norm=True)) == (8, 0, 8)
    assert (norms(224), norms(224, batch_norm=False), norms(224, batch_norm=True)) == (0, 0, 8)


def test_vgg8_has_no_large_form():
    assert type(sketch("vgg8", images(224))).__name__ == "CifarVGG"
    with pytest.raises(UserError, match="torchvision has no vgg8"):
        sketch("vgg8", images(224), form="imagenet")


def test_dropout_reaches_alexnet_in_both_forms():
    for side in (32, 224):
        network = sketch("alexnet", images(side), dropout=0.25)
        kinds = [module.p for module in network.modules() if type(module).__name__ == "Dropout"]
        assert set(kinds) == {0.25}


@pytest.mark.parametrize(("name", "rule"), [("resnet20", "6n [+] 2"), ("wrn_40_2", "6n [+] 4")])
def test_a_depth_without_whole_blocks_is_refused(name, rule):
    for depth in (2, 4, 21):
        with pytest.raises(UserError, match=f"depth={depth} is none of {rule}"):
            sketch(name, images(32), depth=depth)


def test_lenet5_says_how_large_images_must_be():
    with pytest.raises(UserError, match="lenet5 cannot take 8x8 images"):
        sketch("lenet5", images(8))
    assert sketch("lenet5", images(12)).fc1.in_features == 16
