"""A network of many classes among networks of few."""

from torch import Tensor, nn

from kdrun.core.class_merge import Groups, merge_logits


class Merged(nn.Module):
    """A network of many classes that answers with logits of those that they were merged into.

    Args:
        network: from images (B, C, H, W) to logits (N, K).
        groups: the classes that each new one joins.
    """

    def __init__(self, network: nn.Module, groups: Groups) -> None:
        super().__init__()
        self.network, self.groups = network, groups

    def forward(self, images: Tensor) -> Tensor:
        return merge_logits(self.network(images).float(), self.groups)
