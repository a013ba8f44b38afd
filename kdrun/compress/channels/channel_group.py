"""Groups of channels that must be pruned together, and where in a network they are.

All is kept by module paths, so that a group holds for every copy of the network.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PrunedDimension:
    """A dimension of a module or parameter that loses channels when its group is pruned.

    A module has two: its outputs and its inputs. A parameter that belongs to no layer or norm, such
    as a position embedding, is named with one of its tensor dimensions.

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
    """Where the channels of a group are in one dimension.

    Attributes:
        dimension: of a module or parameter.
        indices: (K,) indices in that dimension.
        channels: (K,) the channel of the group that each index belongs to.
    """

    dimension: PrunedDimension
    indices: Tensor
    channels: Tensor

    def indices_of(self, channels: Tensor) -> Tensor:
        """The indices of some channels of the group."""
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
        operations: names of the operations between the layers that move channels.
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
