"""Groups of channels that must be pruned together, and where in a network they are.

Groups refer to modules by path, so that a group is valid for every copy of the network.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PrunedDimension:
    """A dimension of a module or parameter that loses channels when its group is pruned.

    A module has two: its outputs and its inputs. A parameter that belongs to no layer or norm, such
    as a position embedding, is identified by its name and one of its dimensions.

    Attributes:
        path: path of the module, or name of the parameter.
        is_output: whether it is the outputs of the module. A norm's channels count as outputs.
        dim: dimension of the parameter; None for a module.
    """

    path: str
    is_output: bool
    dim: int | None


@dataclass(frozen=True)
class GroupMember:
    """The indices of a group's channels in one dimension.

    Attributes:
        dimension: the dimension of a module or parameter.
        indices: (K,) indices in that dimension.
        channels: (K,) the channel of the group that each index belongs to.
    """

    dimension: PrunedDimension
    indices: Tensor
    channels: Tensor

    def indices_of(self, channels: Tensor) -> Tensor:
        """Return the indices of some channels of the group."""
        return self.indices[torch.isin(self.channels, channels)]


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that several modules share, such as those around a shortcut.

    Attributes:
        path: path of the first layer that outputs them.
        channels: number of channels.
        blocks: number of blocks of equal size that the channels form: attention heads, or groups of
            a convolution. Blocks must keep equal sizes, so all of them lose the same positions.
        members: all dimensions that lose the channels.
        operations: names of operations between these layers that move channels, such as Reshape.
    """

    path: str
    channels: int
    blocks: int
    members: tuple[GroupMember, ...]
    operations: tuple[str, ...]

    @property
    def block_size(self) -> int:
        """Number of channels in a block: the positions among which pruning chooses."""
        return self.channels // self.blocks
