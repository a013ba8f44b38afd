"""Parameters and multiplications, held against figures found elsewhere."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from zoo import count, images, sketch

from kdrun.core.errors import UserError

# 100 classes, 3x32x32: in millions, and exactly. From
#   [He]     He et al. 2016 (arXiv:1512.03385), table 6, for 10 classes: 0.27, 0.46, 0.66, 0.85 and
#            1.7 M for 20, 32, 44, 56 and 110 layers; 90 classes and projections more come on top
#   [zoo]    README of github.com/chenyaofo/pytorch-cifar-models, for 100 classes: millions
#   [osmr]   pytorch/README.md of github.com/osmr/imgclsmob, CIFAR-100: exact counts
#   [ten]    models/model_factory.py of github.com/karanchahal/distiller at 00f387e: exact counts
#            for 10 classes (resnet8 to resnet110 as resnet8_sm ...), to which 90 classes more add
#            90 * (features + 1)
#   [wrn]    Zagoruyko and Komodakis 2016 (arXiv:1605.07146), table 4, one figure for CIFAR-10 and
#            CIFAR-100: 0.6 M for 40-1, 2.2 M for 40-2, which with 10 classes has 2,243,546
#   [lite]   model_zoo/README.md of github.com/da2so/DA2Lite, CIFAR-100: millions
#   [layers] no paper's table was found with it: plain sums over the layer sizes in models/ of
#            github.com/HobbitLong/RepDistiller (resnet.py, wrn.py, vgg.py, mobilenetv2.py,
#            ShuffleNetv1.py, ShuffleNetv2.py), the networks of Tian et al. 2020 (arXiv:1910.10699)
PARAMETERS = {
    "resnet8": (0.08, 83_892),  # ten
    "resnet14": (0.18, 181_108),  # ten
    "resnet20": (0.28, 278_324),  # He, zoo, osmr, ten
    "resnet32": (0.47, 472_756),  # He, zoo, ten
    "resnet44": (0.67, 667_188),  # He, zoo, ten
    "resnet56": (0.86, 861_620),  # He, zoo, osmr, ten
    "resnet110": (1.74, 1_736_564),  # He, osmr, ten
    "resnet8x4": (1.23, 1_233_540),  # layers
    "resnet32x4": (7.43, 7_433_860),  # layers
    "wrn_16_1": (0.18, 180_916),  # ten
    "wrn_16_2": (0.70, 703_284),  # ten
    "wrn_40_1": (0.57, 569_780),  # wrn, ten
    "wrn_40_2": (2.26, 2_255_156),  # wrn, layers
    "vgg8": (3.97, 3_965_028),  # layers
    "vgg11": (9.28, 9_277_284),  # ten
    "vgg13": (9.46, 9_462_180),  # ten
    "vgg16": (14.77, 14_774_436),  # ten
    "vgg19": (20.09, 20_086_692),  # ten, lite: vgg19_bn
    "mobilenet_v2_x0_5": (0.81, 812_836),  # layers
    "shufflenet_v1": (0.95, 949_258),  # layers
    "shufflenet_v2": (1.36, 1_355_528),  # layers; zoo prints 1.36 for its shufflenetv2_x1_0
    "resnet18": (11.22, 11_220_132),  # ten, lite
    "resnet34": (21.33, 21_328_292),  # ten, lite
    "resnet50": (23.71, 23_705_252),  # ten, lite
}

# Millions of multiplications for one 3x32x32 image.
#   resnet20 and 32, 10 classes: [zoo], convolutions and linear layers; the others, 100 classes:
#   [lite], 0.56, 1.16 and 1.30 G
MULTIPLICATIONS = [
    ("resnet20", 10, 40.81, 0.005),
    ("resnet32", 10, 69.12, 0.005),
    ("resnet18", 100, 560, 5),
    ("resnet34", 100, 1160, 5),
    ("resnet50", 100, 1300, 5),
]


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_as_many_as_elsewhere(name):
    millions, exact = PARAMETERS[name]
    parameters = count(sketch(name, images(32)))
    assert parameters == exact
    assert round(parameters / 1e6, 2) == millions


@pytest.mark.parametrize(("name", "classes", "millions", "within"), MULTIPLICATIONS)
def test_multiplications_are_as_many_as_published(name, classes, millions, within):
    data = images(32, classes=classes)
    network = sketch(name, data).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 32, 32, device="meta"))
    assert counter.get_total_flops() / 2e6 == pytest.approx(millions, abs=within)


def test_lenet5_on_mnist_has_61706_parameters():
    # 156 + 2416 + 48120 + 10164 + 850, by the layer sizes of Zhang et al., Dive into Deep Learning
    # (github.com/d2l-ai/d2l-en, chapter_convolutional-neural-networks/lenet.md).
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
        with pytest.raises(UserError, match=f"depth={depth} is not {rule}"):
            sketch(name, images(32), depth=depth)


def test_lenet5_says_how_large_images_must_be():
    with pytest.raises(UserError, match="lenet5 cannot take 8x8 images"):
        sketch("lenet5", images(8))
    assert sketch("lenet5", images(12)).fc1.in_features == 16
