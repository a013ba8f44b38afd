"""Taking channels of several groups out of a network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kdrun.compress.channel_groups import Group, Touched
from kdrun.compress.channel_layers import drop_channels, follow_widths

_Place = tuple[str, bool, int | None]


def cut_channels(network: nn.Module, groups: Sequence[Group], gone: Sequence[Tensor]) -> None:
    """Take channels out of a network, wherever they are.

    Args:
        gone: of each group, the channels that go.
    """
    for (path, makes, dim), indices in _places(groups, gone).items():
        drop_channels(network, path, makes, dim, indices)
    follow_widths(network)


def inputs_gone(groups: Sequence[Group], gone: Sequence[Tensor]) -> dict[str, Tensor]:
    """The inputs that layers lose: module path -> positions."""
    places = _places(groups, gone)
    return {path: found for (path, makes, dim), found in places.items() if not makes}


def _places(groups: Sequence[Group], gone: Sequence[Tensor]) -> dict[_Place, Tensor]:
    """All that goes from a module at once, so that positions are those of the whole network."""
    found: dict[_Place, list[Tensor]] = {}
    for group, channels in zip(groups, gone, strict=True):
        for one in group.touched:
            place = (one.path, one.makes, one.dim)
            found.setdefault(place, []).append(_positions(one, channels))
    return {place: torch.cat(several) for place, several in found.items()}


def _positions(one: Touched, channels: Tensor) -> Tensor:
    return one.indices[torch.isin(one.channels, channels)]
