"""Fully connected networks."""

from itertools import pairwise

from pydantic import PositiveInt
from torch import Tensor, nn

from kdrun.core.ranges import UnitBelowOne
from kdrun.model.image.blocks import name_roles


class MLP(nn.Module):
    """Linear layers with ReLU and dropout between them, on the flattened image.

    Args:
        hidden: width of each hidden layer; an empty list gives a linear classifier.
        dropout: share of each hidden layer's outputs that is dropped in training.
    """

    def __init__(
        self,
        hidden: list[PositiveInt],
        dropout: UnitBelowOne,
        num_classes: int,
        in_channels: int,
        image_size: tuple[int, int],
    ) -> None:
        super().__init__()
        widths = [in_channels * image_size[0] * image_size[1], *hidden]
        self.flatten = nn.Flatten()
        self.layers = nn.Sequential(
            *(
                nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout))
                for before, after in pairwise(widths)
            )
        )
        self.head = nn.Linear(widths[-1], num_classes)
        self.roles = name_roles([f"layers.{number}.1" for number in range(len(hidden))], "head")

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(self.flatten(images)))
