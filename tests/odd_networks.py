"""A plugin with networks that people write, and that are unlike kdrun's own."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MODELS = {
    name: f"odd_networks:{class_name}"
    for name, class_name in {
        "viewed": "Viewed",
        "two_outputs": "TwoOutputs",
        "one_map": "OneMap",
        "functional": "Functional",
        "volume": "Volume",
    }.items()
}


class Viewed(nn.Module):
    """The network of PyTorch's tutorial on classifiers, which calls `view` on feature maps."""

    def __init__(self, num_classes: int, in_channels: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 3, padding=1)
        self.width = 16 * (image_size[0] // 4) * (image_size[1] // 4)
        self.fc1 = nn.Linear(self.width, 24)
        self.fc2 = nn.Linear(24, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.pool(F.relu(self.conv1(images)))
        maps = self.pool(F.relu(self.conv2(maps)))
        return self.fc2(F.relu(self.fc1(maps.view(-1, self.fc1.in_features))))


class TwoOutputs(nn.Module):
    """In training there is a second classifier, as in GoogLeNet; `as_dict` names both outputs."""

    def __init__(
        self,
        as_dict: bool = False,
        *,
        num_classes: int,
        in_channels: int,
        image_size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.as_dict = as_dict
        self.body = nn.Conv2d(in_channels, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head, self.second_head = nn.Linear(8, num_classes), nn.Linear(8, num_classes)

    def forward(self, images: Tensor) -> Any:
        features = F.relu(self.norm(self.body(images))).mean((2, 3))
        outputs = {"out": self.head(features), "aux": self.second_head(features)}
        if not self.training:
            return outputs["out"]
        return outputs if self.as_dict else tuple(outputs.values())


class OneMap(nn.Module):
    """Depthwise convolutions, beside attention that convolves a single map."""

    def __init__(self, num_classes: int, in_channels: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 16, 3, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.squeeze, self.attention = nn.Conv2d(16, 1, 1), nn.Conv2d(1, 1, 3, padding=1)
        self.pointwise = nn.Conv2d(16, 12, 1)
        self.head = nn.Linear(12, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.relu(self.depthwise(F.relu(self.stem(images))))
        maps = maps * torch.sigmoid(self.attention(self.squeeze(maps)))
        return self.head(F.relu(self.pointwise(maps)).mean((2, 3)))


class Functional(nn.Module):
    """A convolution that is called as a function, on a weight of the network itself."""

    def __init__(self, num_classes: int, in_channels: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 16, 3, padding=1)
        self.weight = nn.Parameter(torch.randn(16, 16, 3, 3) / 12)
        self.pointwise = nn.Conv2d(16, 12, 1)
        self.head = nn.Linear(12, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.relu(F.conv2d(F.relu(self.stem(images)), self.weight, padding=1))
        return self.head(F.relu(self.pointwise(maps)).mean((2, 3)))


class Volume(nn.Module):
    """3-d convolutions over the maps of a 2-d one."""

    def __init__(self, num_classes: int, in_channels: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 8, 3, padding=1)
        self.conv1 = nn.Conv3d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm3d(8)
        self.conv2 = nn.Conv3d(8, 12, 3, padding=1)
        self.head = nn.Linear(12, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.relu(self.stem(images)).unsqueeze(1)
        maps = F.relu(self.norm(self.conv1(maps)))
        return self.head(F.relu(self.conv2(maps)).mean((2, 3, 4)))
