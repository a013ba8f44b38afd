"""Where maps are found before their activation."""

import pytest
import torch
from torch import Tensor, nn

from kdrun.core.inputs.image import ImageInputs
from kdrun.core.taps import TappedNetwork, resolve_taps
from kdrun.core.types import DataInfo

INFO = DataInfo(("a", "b"), ImageInputs(3, (8, 8)), 10)
HEAD = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


class Shared(nn.Module):
    """A block that uses one ReLU, in place, twice, the second time after a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        return self.relu(maps + self.conv(self.relu(self.conv(maps))))


def ended(*body: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), *body, *HEAD)


@pytest.mark.parametrize(
    "network, path, found",
    [
        (ended(nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())), "1", "1.1:in"),
        (ended(Shared()), "1", "1.relu:in"),
        (ended(nn.ReLU()), "1", "1:in"),
        (ended(nn.BatchNorm2d(4), nn.ReLU()), "0", "2:in"),  # a pre-activation network
        (ended(nn.ReLU()), "0", "1:in"),
        (ended(nn.Conv2d(4, 4, 1), nn.ReLU()), "0", "0"),  # linear: as it is
    ],
)
def test_pre_means_what_enters_the_activation(network, path, found):
    assert resolve_taps("student", {"tap": f"{path}:pre"}, {}, network, INFO) == {"tap": found}


def test_roles_and_stars_may_be_tapped_before_the_activation():
    network = ended(nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()), Shared())
    found = resolve_taps("student", {"tap": "stages[*]:pre"}, {"stages": ["1", "2"]}, network, INFO)
    assert found == {"tap[0]": "1.1:in", "tap[1]": "2.relu:in"}


def test_an_activation_in_place_leaves_what_entered_it():
    network = ended(Shared())
    tapped = TappedNetwork(network, {"before": "1.relu:in", "after": "1"})
    taps = tapped(torch.randn(2, 3, 8, 8)).taps
    assert taps["before"].min() < 0
    torch.testing.assert_close(taps["before"].relu(), taps["after"])
