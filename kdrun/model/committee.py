"""Several networks that answer as one."""

from collections.abc import Iterable, Mapping
from math import log
from typing import Any

import torch
from torch import Tensor, nn

from kdrun import model
from kdrun.core.types import DataInfo


class Committee(nn.Module):
    """Networks of the same classes; logits are the log of the mean of their probabilities.

    Args:
        members: each from images (B, C, H, W) to logits (N, K).
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        answers = torch.stack([member(images).float() for member in self.members])
        return answers.log_softmax(dim=2).logsumexp(dim=0) - log(len(answers))

    @staticmethod
    def path_of(number: int, place: str = "") -> str:
        """The module path, or tap place, of a member or of a place in it."""
        return f"members.{number}.{place}".rstrip(".")


def build_committee(
    members: list[dict[str, Any]],
    num_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
) -> Committee:
    """A committee of new networks, from their config nodes."""
    classes = tuple(str(number) for number in range(num_classes))
    info = DataInfo(classes, in_channels, image_size, train_size=1)
    return Committee(_build(node, info) for node in members)


def _build(node: Mapping[str, Any], info: DataInfo) -> nn.Module:
    return model.build(node, info)
