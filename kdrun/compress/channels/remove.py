"""Taking channels of several groups out of a network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kdrun.compress.channels.groups import Group, Touched
from kdrun.compress.channels.layers import drop_channels, follow_widths

Place = tuple[str, bool, int | None]  # a path, whether it makes them, the dimension


def cut_channels(network: nn.Module, groups: Sequence[Group], gone: Sequence[Tensor]) -> None:
    """Take channels out of a network, wherever they are.

    Args:
        gone: of each group, the channels that go.
    """
    for (path, makes, dim), indices in places(groups, gone).items():
        drop_channels(network, path, makes, dim, indices)
    follow_widths(network)


def places(groups: Sequence[Group], gone: Sequence[Tensor]) -> dict[Place, Tensor]:
    """The positions that go from each module, those of all groups at once.

    So they are positions in the whole network, whatever goes first.
    """
    found: dict[Place, list[Tensor]] = {}
    for group, channels in zip(groups, gone, strict=True):
        for one in group.touched:
            place = (one.path, one.makes, one.dim)
            found.setdefault(place, []).append(_positions(one, channels))
    return {place: torch.cat(several) for place, several in found.items()}


def _positions(one: Touched, channels: Tensor) -> Tensor:
    return one.indices[torch.isin(one.channels, channels)]
