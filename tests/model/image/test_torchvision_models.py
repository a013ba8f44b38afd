"""torchvision's classifiers, for small images, other channels, and pretrained."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torch import nn
from torchvision import models
from zoo import build, count, images, sketch

from kdrun import model
from kdrun.core.errors import UserError
from kdrun.core.inputs.image import ImageInputs
from kdrun.model.image.stem import STEMS, first_conv, stem_of
from kdrun.model.image.torchvision_models import classifiers, load_pretrained

# One network of each family whose stem can be swapped, and its first convolution's channels.
SWAPPED = {
    "densenet121": 64,
    "efficientnet_b0": 32,
    "mnasnet0_5": 16,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 16,
    "resnet18": 64,
    "shufflenet_v2_x0_5": 24,
    "squeezenet1_0": 96,
}
UNSWAPPED = ["convnext_tiny", "googlenet", "swin_t", "vgg11_bn", "vit_b_32"]
PLAIN = [*SWAPPED, *UNSWAPPED, "maxvit_t", "alexnet"]


def conv_of(network: nn.Module) -> nn.Conv2d:
    return network.get_submodule(first_conv(network))


@pytest.mark.parametrize("name", PLAIN)
def test_at_its_own_size_it_is_torchvisions(name):
    network = sketch(name, images(224, classes=1000))
    published = models.get_model_weights(name).DEFAULT.meta["num_params"]
    assert count(network) == published


@pytest.mark.parametrize("name", SWAPPED)
def test_small_images_get_a_stem_that_keeps_their_size(name):
    network = sketch(name, images(64))
    conv, stem = conv_of(network), stem_of(network)
    assert (conv.kernel_size, conv.stride, conv.padding) == ((3, 3), (1, 1), (1, 1))
    assert conv.out_channels == SWAPPED[name]
    if stem.pool is not None:
        assert isinstance(network.get_submodule(stem.pool), nn.Identity)


@pytest.mark.parametrize("name", SWAPPED)
def test_larger_images_keep_the_stem(name):
    assert conv_of(sketch(name, images(65))).stride == (2, 2)


def test_the_stem_can_be_said():
    assert conv_of(sketch("mobilenet_v2", images(32), stem="imagenet")).stride == (2, 2)
    assert conv_of(sketch("mobilenet_v2", images(96), stem="cifar")).stride == (1, 1)


@pytest.mark.parametrize("name", UNSWAPPED)
def test_other_families_stay_as_they_are(name):
    small, large = sketch(name, images(32)), sketch(name, images(224))
    assert repr(conv_of(small)) == repr(conv_of(large))
    with pytest.raises(UserError, match=f"{name} has no stem to swap"):
        sketch(name, images(32), stem="cifar")


@pytest.mark.parametrize("name", [*SWAPPED, *UNSWAPPED])
def test_grey_images_change_the_first_convolution_only(name):
    grey, color = sketch(name, images(32, channels=1)), sketch(name, images(32))
    assert conv_of(grey).in_channels == 1
    shapes = {key: value.shape for key, value in grey.state_dict().items()}
    first = f"{first_conv(grey)}.weight"
    assert [key for key, value in color.state_dict().items() if value.shape != shapes[key]] == [
        first
    ]
    assert model.check_forward("student", grey, images(32, channels=1)) == []


def test_regnets_stem_is_swapped_too():
    network = model.build({"name": "regnet_y_400mf", "stem": "auto"}, images(32))
    assert conv_of(network).stride == (1, 1)
    assert model.check_forward("student", network, images(32)) == []


def test_a_vision_transformer_takes_the_size_of_the_images():
    assert sketch("vit_b_32", images(64)).image_size == 64
    with pytest.raises(UserError, match="vit_b_32 takes square images, and these are 32x64"):
        wide = replace(images(32), inputs=ImageInputs(3, (32, 64)))
        model.build({"name": "vit_b_32", "stem": "auto"}, wide)


@pytest.mark.parametrize("name", ["vit_b_32", "maxvit_t"])
def test_images_that_cannot_be_cut_are_refused_in_a_sentence(name):
    said = f"{name} can't be built for 40x40 images with 3 channels: "
    with pytest.raises(UserError, match=said):
        sketch(name, images(40))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_inceptions_have_one_answer_and_scale_colors_as_their_weights_want(name):
    color, grey = sketch(name, images(96)), sketch(name, images(96, channels=1))
    assert color.training
    assert isinstance(color(torch.zeros(2, 3, 96, 96, device="meta")), torch.Tensor)
    assert color.transform_input
    assert not grey.transform_input


@pytest.mark.slow
@pytest.mark.parametrize("name", classifiers())
def test_every_classifier_builds_and_answers(name, monkeypatch):
    from torchvision.models.regnet import BlockParams

    original = BlockParams.from_init_params.__func__

    def on_the_cpu(cls, *arguments, **keywords):
        with torch.device("cpu"):  # RegNets compute their widths with tensors
            return original(cls, *arguments, **keywords)

    monkeypatch.setattr(BlockParams, "from_init_params", classmethod(on_the_cpu))
    network = sketch(name, images(224))
    assert model.check_forward("student", network, images(224)) == []
    assert model.module_roles(network)["stages"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, object], Path]:
    """Put a file where torch looks for a model's weights before it downloads them."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))

    def put(name: str, state: object) -> Path:
        url = models.get_model_weights(name).DEFAULT.url
        path = tmp_path / "checkpoints" / url.rpartition("/")[2]
        path.parent.mkdir(exist_ok=True)
        torch.save(state, path)
        return path

    return put


def weights_of(name: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    return models.get_model(name, weights=None).state_dict()


def test_pretrained_weights_are_taken_whole(cache):
    state = weights_of("shufflenet_v2_x0_5")
    cache("shufflenet_v2_x0_5", state)
    network = build("shufflenet_v2_x0_5", images(224, classes=1000))
    assert load_pretrained(network, "shufflenet_v2_x0_5", "DEFAULT") == []
    assert load_pretrained(network, "shufflenet_v2_x0_5", "IMAGENET1K_V1") == []
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("data", "left"),
    [
        (images(224), ["fc.weight", "fc.bias"]),
        (images(224, channels=1, classes=1000), ["conv1.0.weight"]),
        (images(32, classes=1000), ["conv1.0.weight"]),
        (images(32), ["conv1.0.weight", "fc.weight", "fc.bias"]),
    ],
    ids=["classes", "channels", "stem", "stem and classes"],
)
def test_what_depends_on_the_data_is_left(cache, data, left):
    state = weights_of("shufflenet_v2_x0_5")
    cache("shufflenet_v2_x0_5", state)
    network = build("shufflenet_v2_x0_5", data)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert load_pretrained(network, "shufflenet_v2_x0_5", "DEFAULT") == left
    for key, value in network.state_dict().items():
        assert torch.equal(value, (before if key in left else state)[key])


def test_squeezenets_head_is_left_for_other_classes(cache):
    cache("squeezenet1_1", weights_of("squeezenet1_1"))
    left = load_pretrained(build("squeezenet1_1", images(224)), "squeezenet1_1", "DEFAULT")
    assert left == ["classifier.1.weight", "classifier.1.bias"]


def test_densenets_old_names_are_understood(cache):
    state = weights_of("densenet121")
    old = {}
    for key, value in state.items():
        for part in ("norm", "conv"):
            for number in ("1", "2"):
                if "denselayer" in key:
                    key = key.replace(f"{part}{number}.", f"{part}.{number}.")
        if not key.endswith("num_batches_tracked"):
            old[key] = value
    cache("densenet121", old)
    network = build("densenet121", images(224, classes=1000))
    assert load_pretrained(network, "densenet121", "DEFAULT") == []
    key = "features.denseblock2.denselayer3.norm2.weight"
    assert torch.equal(network.state_dict()[key], state[key])


def test_weights_of_another_network_are_refused(cache):
    cache("shufflenet_v2_x0_5", weights_of("shufflenet_v2_x0_5"))
    with pytest.raises(UserError, match="weights of 'shufflenet_v2_x0_5' don't fit this network"):
        load_pretrained(build("mnasnet0_5", images(32)), "shufflenet_v2_x0_5", "DEFAULT")


def test_the_form_for_small_images_takes_no_pretrained_weights():
    with pytest.raises(UserError, match="the form for small images") as error:
        load_pretrained(sketch("vgg16", images(32)), "vgg16", "DEFAULT")
    assert "form=imagenet" in error.value.lines[1]


def test_unknown_weights_name_the_known_ones():
    with pytest.raises(UserError) as error:
        load_pretrained(nn.Identity(), "resnet50", "IMAGENET1K_V3")
    assert error.value.lines == (
        "resnet50 has no weights called 'IMAGENET1K_V3'.",
        "  use weights=DEFAULT; all: IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT",
    )


def test_kdruns_own_networks_have_no_pretrained_weights():
    with pytest.raises(UserError, match="torchvision has no weights for 'resnet20'"):
        load_pretrained(nn.Identity(), "resnet20", "DEFAULT")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_a_broken_file_says_where_a_sound_one_goes(cache, content):
    path = cache("shufflenet_v2_x0_5", {})
    path.write_bytes(content)
    with pytest.raises(UserError, match="can't be loaded") as error:
        load_pretrained(sketch("shufflenet_v2_x0_5", images(64)), "shufflenet_v2_x0_5", "DEFAULT")
    assert str(path.parent) in error.value.lines[1]


def test_objects_are_never_unpickled(cache):
    cache("shufflenet_v2_x0_5", {"fc.weight": Path("object")})
    with pytest.raises(UserError, match="can't be loaded"):
        load_pretrained(sketch("shufflenet_v2_x0_5", images(64)), "shufflenet_v2_x0_5", "DEFAULT")


def test_without_a_network_the_sentence_says_what_to_fetch(cache, monkeypatch):
    def fail(*arguments, **keywords):
        raise URLError("no route")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(UserError, match=r"weights https://\S+\.pth can't be loaded: .*no route"):
        load_pretrained(sketch("shufflenet_v2_x0_5", images(64)), "shufflenet_v2_x0_5", "DEFAULT")


def test_each_family_with_a_stem_is_tested():
    kinds = {type(sketch(name, images(64))).__name__ for name in SWAPPED}
    assert kinds | {"RegNet"} == set(STEMS)
