"""Networks run in channels_last, but for those that only work on contiguous images."""

from copy import deepcopy

import pytest
import torch
from odd_networks import Viewed, Volume
from torch import Tensor, nn
from zoo import images

from kdrun.core.memory_format import (
    contiguous_reason,
    fault_in_channels_last,
    keep_contiguous,
    move_network,
)

CPU, DATA = torch.device("cpu"), images(8, classes=10)


def test_a_moved_network_has_its_convolutions_in_channels_last():
    network = move_network(nn.Conv2d(3, 4, 3), CPU)
    assert network.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_network_that_works_in_channels_last_has_no_fault():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(), nn.Flatten())
    assert fault_in_channels_last(network, DATA) == ""
    assert network.training


@pytest.mark.parametrize(
    ("make", "fault"),
    [(Viewed, "view size is not compatible"), (Volume, "required rank 4 tensor")],
)
def test_a_network_that_must_stay_contiguous_does_so(make, fault):
    network = make(num_classes=10, in_channels=3, image_size=(8, 8))
    reason = fault_in_channels_last(network, DATA)
    assert reason.startswith(fault)
    keep_contiguous(network, reason)
    inputs = torch.randn(4, 3, 8, 8)
    expected = network(inputs)
    moved = move_network(deepcopy(network), CPU)
    assert contiguous_reason(moved) == reason
    assert torch.equal(moved(inputs.to(memory_format=torch.channels_last)), expected)


def test_a_view_in_training_alone_is_found():
    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, images: Tensor) -> Tensor:
            maps = self.conv(images)
            return maps.view(len(maps), -1) if self.training else maps.flatten(1)

    network = Head()
    before = deepcopy(network.state_dict())
    assert fault_in_channels_last(network, DATA).startswith("view size is not compatible")
    assert network.training
    assert network.conv.weight.grad is None
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_images_with_one_channel_count_as_contiguous():
    network = Viewed(num_classes=10, in_channels=1, image_size=(8, 8))
    keep_contiguous(network, "it calls view")
    images_of_a_dataset = torch.randn(4, 8, 8, 1).permute(0, 3, 1, 2)
    assert network(images_of_a_dataset).shape == (4, 10)


def test_other_outputs_in_channels_last_are_a_fault():
    class Storage(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.as_strided((images.shape[0], 8), (3 * 64, 1))

    assert fault_in_channels_last(Storage(), DATA) == "it computes other outputs there"


def test_a_network_that_fails_in_both_formats_is_left_to_its_check():
    assert fault_in_channels_last(nn.Linear(5, 5), DATA) == ""
