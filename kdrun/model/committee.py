"""A network that averages the predictions of several networks."""

from collections.abc import Iterable
from math import log
from typing import Any

import torch
from torch import Tensor, nn

from kdrun import model
from kdrun.core.inputs import InputDescription
from kdrun.core.types import DataInfo


class Committee(nn.Module):
    """Averages networks with the same classes: logits are the log of their mean probabilities.

    Args:
        members: networks from images (B, C, H, W) to logits (B, K).
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        logits = torch.stack([member(images).float() for member in self.members])
        return logits.log_softmax(dim=2).logsumexp(dim=0) - log(len(logits))

    @staticmethod
    def path_of(number: int, path: str = "") -> str:
        """Return the path in the committee of a member, or of a module in it."""
        return f"members.{number}.{path}".rstrip(".")


def build_committee(
    members: list[dict[str, Any]],
    num_classes: int,
    inputs: InputDescription,
) -> Committee:
    """Build a committee of new networks.

    Args:
        members: config nodes of the networks.
        num_classes: number of classes of each network.
        inputs: what the inputs of each network look like.
    """
    classes = tuple(str(number) for number in range(num_classes))
    info = DataInfo(classes, inputs, train_size=1)
    return Committee(model.build(node, info) for node in members)
