"""One forward pass before any work."""

import pytest
import torch
from torch import nn
from zoo import build, images, sketch

from kdrun import model


@pytest.mark.parametrize(
    ("name", "side", "kind"),
    [
        ("convnext_tiny", 8, "ConvNeXt"),
        ("vgg11", 7, "CifarVGG"),
        ("inception_v3", 32, "Inception3"),
    ],
)
def test_images_too_small_are_one_fault(name, side, kind):
    data = images(side)
    (fault,) = model.check_forward("teacher", sketch(name, data), data)
    assert fault.where == "teacher"
    assert fault.what.startswith(f"{kind} cannot take {side}x{side} images with 3 channels: ")
    assert fault.what.endswith("; use larger images or a network such as resnet8")
    assert "\n" not in fault.what


def test_other_classes_are_a_fault():
    network = build("mlp", images(8, classes=10))
    (fault,) = model.check_forward("student", network, images(8, classes=7))
    assert str(fault) == (
        "student: MLP gives logits of shape (2, 10) for 2 8x8 images with 3 channels;"
        " (2, 7) is needed"
    )


def test_an_answer_that_is_no_tensor_is_a_fault():
    class Pair(nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images, images

    (fault,) = model.check_forward("student", Pair(), images(8))
    assert "gives a tuple" in fault.what


def test_the_network_stays_as_it_was():
    network = build("resnet8", images(8))
    network.train()
    frozen = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    frozen.eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert model.check_forward("student", network, images(8)) == []
    assert network.training and not frozen.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_a_norm_over_a_single_value_is_a_fault_in_training():
    network = build("resnet18", images(8)).train()
    (fault,) = model.check_training("student", network, images(8), samples=1)
    assert str(fault) == (
        "student: ResNet cannot be trained on 1 sample at a time: a norm of it would see one value"
        " per channel; use a larger recipe.batch_size or a smaller recipe.accumulate"
    )
    assert model.check_training("student", network, images(8), samples=2) == []
    assert model.check_training("student", network.eval(), images(8), samples=1) == []


def test_training_is_tried_without_a_trace():
    network = build("resnet8", images(8)).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = torch.random.get_rng_state()
    assert model.check_training("student", network, images(8), samples=3) == []
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert torch.equal(state, torch.random.get_rng_state())
