"""Merges the classes of a teacher, to compare it with students that learn merged classes."""

from torch import Tensor, nn

from kdrun.core.class_merge import Groups, merge_logits


class MergedClasses(nn.Module):
    """Converts the logits of a network to logits of merged classes.

    Args:
        network: maps images (B, C, H, W) to logits (B, K).
        groups: for each merged class, the labels of the network's classes that it merges.
    """

    def __init__(self, network: nn.Module, groups: Groups) -> None:
        super().__init__()
        self.network, self.groups = network, groups

    def forward(self, images: Tensor) -> Tensor:
        return merge_logits(self.network(images).float(), self.groups)
